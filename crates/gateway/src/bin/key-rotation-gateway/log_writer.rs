//! A writer for a standard stream with a queue and a thread of its own.
//!
//! A full disk or a blocked pipe must not delay a request. A line is added to a bounded queue without waiting; lines
//! that can't be queued or written are lost and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of queued bytes (4 MiB). The thread may hold the same number again.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Maximum number of queued lines (16,384).
const MAX_LINES: usize = 16 * 1024;

/// A queue of lines for one stream. Clones share the queue.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Queue>);

struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    written: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether the thread has lines that are not written yet.
    writing: bool,
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts the thread that writes to `out` until the process ends.
    pub(crate) fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            more: Condvar::new(),
            written: Condvar::new(),
            lost: AtomicU64::new(0),
        });
        let lines = Self(Arc::clone(&queue));
        thread::Builder::new().name(name.to_owned()).spawn(move || queue.write_to(out))?;
        Ok(lines)
    }

    /// Adds a line, line break included. Never waits.
    pub(crate) fn add(&self, line: &[u8]) {
        let mut waiting = self.0.waiting();
        if waiting.bytes.saturating_add(line.len()) > MAX_BYTES || waiting.lines.len() >= MAX_LINES {
            self.0.lose(1);
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.to_vec());
        drop(waiting);
        self.0.more.notify_one();
    }

    /// Returns the number of lines that could not be queued or written.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, at most for `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.0.written.wait_timeout_while(self.0.waiting(), limit, unwritten));
    }
}

/// Accepts every line in full, and never fails.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Queue ===

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }

    fn write_to(&self, mut out: impl Write) {
        loop {
            for line in self.next() {
                if out.write_all(&line).is_err() {
                    self.lose(1);
                }
            }
            if out.flush().is_err() {
                self.lose(1);
            }
        }
    }

    /// Waits for lines and returns them, at least one.
    fn next(&self) -> VecDeque<Vec<u8>> {
        let mut waiting = self.waiting();
        waiting.writing = false;
        while waiting.lines.is_empty() {
            self.written.notify_all();
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.writing = true;
        waiting.bytes = 0;
        std::mem::take(&mut waiting.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks while the lock is held, then fails.
    struct Stuck(Arc<Mutex<()>>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            drop(self.0.lock());
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_can_not_be_written_are_counted() {
        let stuck = Arc::new(Mutex::new(()));
        let held = stuck.lock().unwrap();
        let lines = LogWriter::start("test", Stuck(Arc::clone(&stuck))).unwrap();
        for _ in 0..3 * MAX_LINES {
            lines.add(b"a line\n");
        }
        lines.add(&vec![b'x'; MAX_BYTES + 1]);
        assert!(lines.lost() > MAX_LINES as u64);
        lines.flush(Duration::from_millis(1));
        drop(held);
        lines.flush(Duration::from_secs(60));
        assert_eq!(lines.lost(), 3 * MAX_LINES as u64 + 1, "each line is counted once");
    }
}
