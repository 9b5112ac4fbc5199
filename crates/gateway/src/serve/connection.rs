//! The task of one connection.

use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::serve::connections::Slot;
use crate::serve::limits::Limits;

/// Maximum time for an idle connection to close (500 ms).
const CLOSING: Duration = Duration::from_millis(500);

/// Serves a connection until it ends, is idle for too long, has a caller that does not read, or must make room for
/// another connection. After `stop`, serves it until its requests have ended.
pub(super) async fn run(
    connection: impl GracefulConnection,
    slot: &Slot,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut connection = pin!(connection);
    let mut check = pin!(sleep(limits.head.min(limits.write)));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            // An error of a connection concerns its caller alone.
            _ended = connection.as_mut() => return,
            () = slot.traffic.close.notified() => return,
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
