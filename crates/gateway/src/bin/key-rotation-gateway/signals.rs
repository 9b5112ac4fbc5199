//! The signals that stop the gateway.

use std::io;

/// The signals of the process. They are received from its creation on.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

/// The signals of the process.
#[cfg(not(unix))]
pub(crate) struct Signals;

// === impl Signals ===

impl Signals {
    /// Waits for the first SIGINT or SIGTERM. A second one ends the process immediately. A SIGHUP, which is sent when
    /// a terminal closes, is ignored: the configuration is read once.
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
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal to stop, and returns the exit status of a process ended by it.
    async fn next(&mut self) -> i32 {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return 130,
                _ = self.terminate.recv() => return 143,
                _ = self.hangup.recv() => {
                    tracing::info!(target: "gateway", "SIGHUP ignored: restart the gateway to load the configuration again");
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
