//! The traffic of one tunnel: its bytes, and the limits on pauses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::config::ServerSettings;

/// Maximum time for the second side to end after the first, or after a close frame (10 s).
const LINGER: Duration = Duration::from_secs(10);

/// No time.
const NEVER: u64 = u64::MAX;

/// Limits on pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Maximum time without a byte from either side.
    idle: Duration,
    /// Maximum time during which a side does not read.
    write: Duration,
}

/// The bytes of a tunnel so far, and the reason of its end.
pub(crate) struct TunnelTraffic {
    began: Instant,
    caller: End,
    provider: End,
    /// Time of the last byte from either side, in milliseconds since `began`.
    last: AtomicU64,
    /// Time at which one side ended or sent a close frame, in milliseconds since `began`; [`NEVER`] if none has.
    ended: AtomicU64,
    ends: Notify,
    error: OnceLock<&'static str>,
}

/// One side of a tunnel.
struct End {
    /// Bytes that it sent.
    bytes: AtomicU64,
    /// Time since which it does not read, in milliseconds since the beginning; [`NEVER`] if it reads.
    blocked: AtomicU64,
}

/// The two sides of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Provider,
}

// === impl Limits ===

impl Limits {
    /// Default of the limit on silence (10 min).
    const IDLE: Duration = Duration::from_secs(600);
    /// Default of the limit on a side that does not read (60 s).
    const WRITE: Duration = Duration::from_secs(60);

    pub(super) fn of(server: &ServerSettings) -> Self {
        Self {
            idle: server.websocket_idle_timeout().unwrap_or(Self::IDLE),
            write: server.write_timeout().unwrap_or(Self::WRITE),
        }
    }
}

// === impl TunnelTraffic ===

impl TunnelTraffic {
    pub(super) fn new() -> Arc<Self> {
        let end = || End { bytes: AtomicU64::new(0), blocked: AtomicU64::new(NEVER) };
        Arc::new(Self {
            began: Instant::now(),
            caller: end(),
            provider: end(),
            last: AtomicU64::new(0),
            ended: AtomicU64::new(NEVER),
            ends: Notify::new(),
            error: OnceLock::new(),
        })
    }

    /// Returns the number of bytes that the caller sent.
    pub(crate) fn bytes_up(&self) -> u64 {
        self.caller.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes that the provider sent.
    pub(crate) fn bytes_down(&self) -> u64 {
        self.provider.bytes.load(Ordering::Relaxed)
    }

    /// Returns the reason for which the gateway ended the tunnel, or a connection broke.
    pub(crate) fn error(&self) -> Option<&'static str> {
        self.error.get().copied()
    }

    pub(super) fn failed(&self, reason: &'static str) {
        let _first = self.error.set(reason);
    }

    /// Waits until a limit is exceeded, and returns its name. `None`: the other side had ended properly before.
    pub(super) async fn exceeds(&self, limits: Limits) -> Option<&'static str> {
        loop {
            let (now, time) = (Instant::now(), |at: &AtomicU64| at.load(Ordering::Relaxed));
            let blocked = [&self.caller.blocked, &self.provider.blocked].into_iter();
            let blocked =
                blocked.filter_map(|since| Some((self.at(time(since))? + limits.write, Some("stalled"))));
            let idle = self.at(time(&self.last)).map(|last| (last + limits.idle, Some("idle_timeout")));
            let half = self.at(time(&self.ended)).map(|ended| (ended + LINGER, None));
            let first = blocked.chain(idle).chain(half).min_by_key(|(due, _)| *due);
            let (due, reason) = first.unwrap_or((now + limits.idle, None));
            if due <= now {
                return reason;
            }
            // A side may stop to read during the sleep.
            tokio::select! {
                () = sleep_until(due.min(now + limits.write)) => {}
                () = self.ends.notified() => {}
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(Instant::now().saturating_duration_since(self.began).as_millis()).unwrap_or(NEVER - 1)
    }

    fn at(&self, ms: u64) -> Option<Instant> {
        (ms != NEVER).then(|| self.began + Duration::from_millis(ms))
    }

    const fn end(&self, side: Side) -> &End {
        match side {
            Side::Caller => &self.caller,
            Side::Provider => &self.provider,
        }
    }

    pub(super) fn read(&self, side: Side, bytes: usize) {
        if bytes > 0 {
            self.end(side).bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            self.last.store(self.now(), Ordering::Relaxed);
        } else {
            self.closes();
        }
    }

    /// One side has ended, or has sent a close frame.
    pub(super) fn closes(&self) {
        if self.ended.load(Ordering::Relaxed) == NEVER {
            self.ended.store(self.now(), Ordering::Relaxed);
            self.ends.notify_one();
        }
    }

    pub(super) fn wrote<T>(&self, side: Side, written: Poll<T>) -> Poll<T> {
        let blocked = &self.end(side).blocked;
        let was = blocked.load(Ordering::Relaxed);
        match (written.is_pending(), was == NEVER) {
            (true, true) => blocked.store(self.now(), Ordering::Relaxed),
            (false, false) => blocked.store(NEVER, Ordering::Relaxed),
            _ => {}
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_ends_soon_after_a_close_frame() {
        let limits = Limits { idle: Duration::from_secs(3_600), write: Duration::from_secs(60) };
        let (traffic, began) = (TunnelTraffic::new(), Instant::now());
        let exceeds = traffic.exceeds(limits);
        let closes = async {
            sleep_until(began + Duration::from_secs(5)).await;
            traffic.closes();
            sleep_until(began + Duration::from_secs(9)).await;
            traffic.closes();
        };
        assert_eq!(tokio::join!(exceeds, closes).0, None);
        assert_eq!(Instant::now() - began, Duration::from_secs(5) + LINGER);
    }
}
