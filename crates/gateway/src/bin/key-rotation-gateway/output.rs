//! The standard streams of the process. Writing to them neither blocks nor fails.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::log_writer::LogWriter;

/// Standard output, and the log on standard error.
#[derive(Clone)]
pub(crate) struct Output {
    out: LogWriter,
    pub(crate) log: LogWriter,
}

/// The format of log lines.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Maximum time to write the last log lines when the process ends (2 s).
const LAST_LINES: Duration = Duration::from_secs(2);

// === impl Output ===

impl Output {
    /// Starts the log. Panics are logged with their place and without their message, which may contain a secret.
    pub(crate) fn start(level: Level, format: LogFormat) -> io::Result<Self> {
        let output = Self {
            out: LogWriter::start("stdout", io::stdout())?,
            log: LogWriter::start("stderr", io::stderr())?,
        };
        let lines = output.log.clone();
        let log = tracing_subscriber::fmt().with_max_level(level).log_internal_errors(false);
        let log = log.with_ansi(io::stderr().is_terminal()).with_writer(move || lines.clone());
        // The watcher of files logs every change, and so that of a log next to the configuration.
        let wanted = Targets::new().with_default(level).with_target("notify", Level::INFO.min(level));
        match format {
            LogFormat::Text => log.finish().with(wanted).init(),
            LogFormat::Json => {
                let log = log.json().flatten_event(true).with_current_span(false).with_span_list(false);
                log.finish().with(wanted).init();
            }
        }
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(target: "gateway", place, "panicked");
        }));
        Ok(output)
    }

    pub(crate) fn print(&self, text: &str) {
        self.out.add(text.as_bytes());
    }

    /// Waits for the last lines, at most 2 s for each stream.
    pub(crate) fn flush(&self) {
        self.out.flush(LAST_LINES);
        self.log.flush(LAST_LINES);
    }
}
