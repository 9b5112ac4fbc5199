//! The log lines of a test.

#![allow(dead_code, reason = "some tests have a subscriber of their own")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// A second subscriber that is always there. With a single subscriber, `tracing` asks the first thread at a line
/// whether the line is wanted, and a test without a subscriber would decline for all threads.
static WITNESS: OnceLock<Dispatch> = OnceLock::new();

/// The lines that were logged.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Captures everything that this thread logs while the guard lives.
    pub(crate) fn install(&self) -> tracing::subscriber::DefaultGuard {
        WITNESS.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        let subscriber = subscriber.with_span_events(FmtSpan::FULL).with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
