//! One connection, from the first byte to the last.

use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::connections::Slot;
use super::limits::Limits;

/// How long a connection may take to close once it has nothing to do: half a second.
const CLOSING: Duration = Duration::from_millis(500);

/// Serves a connection until it ends, is idle for too long, is not read from, or has to make room for another.
/// After `stop`, only until its requests have ended.
pub(super) async fn run(
    connection: impl GracefulConnection,
    slot: Slot,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut connection = pin!(connection);
    let mut check = pin!(sleep(limits.head.min(limits.write)));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            // How a connection ends is the caller's to judge.
            _ended = connection.as_mut() => return,
            () = slot.traffic.leave.notified() => return,
            _stopped = stop.changed(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
                check.as_mut().reset(Instant::now() + CLOSING);
            }
            () = check.as_mut() => {
                let now = Instant::now();
                let idle = if closing { CLOSING } else { limits.head };
                match slot.traffic.next_check(now, idle, limits.write) {
                    Some(next) => check.as_mut().reset(next),
                    None if closing => return,
                    None => {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                        check.as_mut().reset(now + CLOSING);
                    }
                }
            }
        }
    }
}
