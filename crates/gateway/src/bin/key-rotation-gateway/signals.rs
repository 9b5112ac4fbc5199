//! The signals of the process.

use std::io;

/// The signals that stop the gateway. They are received from its creation on.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

/// The signals that stop the gateway.
#[cfg(not(unix))]
pub(crate) struct Signals;

/// The signal that a write beyond the limit for the size of files sends, and that ends a process without a handler. With
/// one, the write fails like that to a full disk.
#[cfg(unix)]
const SIGXFSZ: std::ffi::c_int =
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 31 } else { 25 };

/// SIGHUP, which asks for the configuration to be loaded again. It does not end the process from its creation on.
#[cfg(unix)]
pub(crate) struct Hangups(tokio::signal::unix::Signal);

/// SIGHUP, which this platform does not have.
#[cfg(not(unix))]
pub(crate) struct Hangups;

// === impl Signals ===

impl Signals {
    /// Waits for the first SIGINT or SIGTERM. A second one ends the process immediately.
    pub(crate) async fn stop(mut self) {
        self.next().await;
        tracing::info!(target: "gateway", "stopping: waiting for requests in flight; a second signal ends them");
        tokio::spawn(async move {
            let status = self.next().await;
            std::process::exit(status);
        });
    }
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // A handler stays when its stream is dropped.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal to stop, and returns the exit status of a process ended by it.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        130
    }
}

// === impl Hangups ===

impl Hangups {
    /// Ignores the signal, which is also sent when a terminal closes.
    pub(crate) async fn ignore(mut self) {
        loop {
            self.next().await;
            tracing::info!(target: "gateway", "SIGHUP ignored: there is no configuration file");
        }
    }
}

#[cfg(unix)]
impl Hangups {
    pub(crate) fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
impl Hangups {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self)
    }

    /// Never completes.
    pub(crate) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
