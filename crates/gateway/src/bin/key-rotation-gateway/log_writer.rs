//! A writer for a standard stream with a queue and a thread of its own.
//!
//! A full disk or a blocked pipe must not delay a request. A line is added to a bounded queue without waiting; lines
//! that can't be queued or written are lost and counted. Lines that come within [10 ms](GATHER) are written together,
//! because waking the thread and writing cost a busy process more than the line itself.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of queued bytes (4 MiB). The thread may hold the same number again.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Number of queued bytes that are written without waiting for more (64 KiB). The buffers keep room for as many.
const ENOUGH: usize = 64 * 1024;

/// Time for which the thread waits for more lines before it writes (10 ms).
const GATHER: Duration = Duration::from_millis(10);

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
    /// Lines, each with its line break.
    lines: Vec<u8>,
    /// Whether the lines are written without waiting for more.
    is_urgent: bool,
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

    /// Adds lines, line breaks included. Never waits.
    pub(crate) fn add(&self, lines: &[u8]) {
        let mut waiting = self.0.waiting();
        let (before, after) = (waiting.lines.len(), waiting.lines.len().saturating_add(lines.len()));
        if after > MAX_BYTES {
            drop(waiting);
            self.0.lose(lines);
            return;
        }
        waiting.lines.extend_from_slice(lines);
        drop(waiting);
        // Between the two the thread waits for more.
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.0.more.notify_one();
        }
    }

    /// Returns the number of lines that could not be queued or written.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, at most for `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let mut waiting = self.0.waiting();
        waiting.is_urgent = true;
        self.0.more.notify_one();
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.0.written.wait_timeout_while(waiting, limit, unwritten));
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

    /// Counts lines as lost, also one of which a part was written.
    fn lose(&self, lines: &[u8]) {
        let breaks = lines.iter().filter(|byte| **byte == b'\n').count();
        let unended = usize::from(lines.last().is_some_and(|last| *last != b'\n'));
        self.lost.fetch_add((breaks + unended) as u64, Ordering::Relaxed);
    }

    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            self.next(&mut lines);
            if let Err(rest) = write(&mut out, &lines) {
                self.lose(rest);
            }
        }
    }

    /// Waits for lines and puts them in the place of those that were written.
    fn next(&self, lines: &mut Vec<u8>) {
        lines.clear();
        lines.shrink_to(ENOUGH);
        let mut waiting = self.waiting();
        waiting.writing = false;
        while waiting.lines.is_empty() {
            self.written.notify_all();
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let is_patient = |waiting: &mut Waiting| !waiting.is_urgent && waiting.lines.len() < ENOUGH;
        let gathered = self.more.wait_timeout_while(waiting, GATHER, is_patient);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        waiting.is_urgent = false;
        waiting.writing = true;
        std::mem::swap(&mut waiting.lines, lines);
    }
}

/// Writes all lines. Fails with the rest that could not be written.
fn write<'l>(out: &mut impl Write, lines: &'l [u8]) -> Result<(), &'l [u8]> {
    let mut rest = lines;
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(rest),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(rest),
        }
    }
    // A stream keeps the end of the last line at most.
    out.flush().map_err(|_| &lines[lines.len() - 1..])
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

    /// Notes what each call writes. Blocks while the lock is held.
    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<Vec<String>>>);

    impl Write for Noted {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(lines.to_vec()).unwrap());
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_wait_are_written_together_and_in_order() {
        let noted = Noted::default();
        let held = noted.0.lock().unwrap();
        let lines = LogWriter::start("test", noted.clone()).unwrap();
        let expected: String = (0..1_000).map(|number| format!("line {number}\n")).collect();
        expected.split_inclusive('\n').for_each(|line| lines.add(line.as_bytes()));
        drop(held);
        lines.flush(Duration::from_secs(60));
        let noted = noted.0.lock().unwrap();
        assert_eq!(noted.concat(), expected);
        assert!(noted.len() <= 2, "the first lines, and those that came while they were written");
    }

    #[test]
    fn lines_that_can_not_be_written_are_counted() {
        let stuck = Arc::new(Mutex::new(()));
        let held = stuck.lock().unwrap();
        let lines = LogWriter::start("test", Stuck(Arc::clone(&stuck))).unwrap();
        let (line, many) = (b"a line\n", 3 * MAX_BYTES / b"a line\n".len());
        for _ in 0..many {
            lines.add(line);
        }
        lines.add(&vec![b'x'; MAX_BYTES + 1]);
        assert!(lines.lost() > many as u64 / 3 - 1);
        lines.flush(Duration::from_millis(1));
        drop(held);
        lines.flush(Duration::from_secs(60));
        assert_eq!(lines.lost(), many as u64 + 1, "each line is counted once");
    }
}
