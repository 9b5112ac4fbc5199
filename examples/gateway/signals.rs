//! Signals: what stops the gateway, and what does not.

use std::io;

/// The signals that the process receives from the moment when this is made.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

/// The signals that the process receives.
#[cfg(not(unix))]
pub(crate) struct Signals;

// === impl Signals ===

impl Signals {
    /// Returns at the first SIGINT or SIGTERM. The second one ends the process at once. A SIGHUP, which is sent when
    /// a terminal closes, changes nothing: the configuration is read once.
    pub(crate) async fn stop(mut self) {
        self.next().await;
        tracing::info!(target: "gateway", "stopping: running requests may end; a second signal ends them");
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
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal to stop, as the exit status of a process that it ends.
    async fn next(&mut self) -> i32 {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return 130,
                _ = self.terminate.recv() => return 143,
                _ = self.hangup.recv() => {
                    tracing::info!(target: "gateway", "SIGHUP ignored: restart to read the configuration anew");
                }
            }
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
