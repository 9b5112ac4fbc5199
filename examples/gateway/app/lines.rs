//! Lines for a standard stream, written by a thread of their own.
//!
//! A disk that is full, a pipe without a reader, or one whose reader has stopped must not reach a request: a line is
//! put into a bounded queue without waiting, and what can't be queued or written is lost and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Upper bound on the bytes that wait to be written: 4 MiB. As many may be in the hands of the thread.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Upper bound on the lines that wait to be written.
const MAX_LINES: usize = 16 * 1024;

/// A queue of lines with one writer. Clones are handles to the same queue.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Queue>);

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
    /// The thread has lines that are not written yet.
    writing: bool,
}

// === impl Lines ===

impl Lines {
    /// Starts the thread that writes to `out`, for as long as the process lives.
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

    /// How many lines could not be queued or written.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, for `limit` at most.
    pub(crate) fn flush(&self, limit: Duration) {
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.0.written.wait_timeout_while(self.0.waiting(), limit, unwritten));
    }
}

/// Always takes all that it is given.
impl Write for Lines {
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

    /// The lines that wait, at least one.
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

    /// Writes nothing for as long as the lock is held; then fails.
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
    fn a_writer_that_is_stuck_or_full_loses_lines_and_nothing_else() {
        let stuck = Arc::new(Mutex::new(()));
        let held = stuck.lock().unwrap();
        let lines = Lines::start("test", Stuck(Arc::clone(&stuck))).unwrap();
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
