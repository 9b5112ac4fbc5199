//! The timer for pauses in a body.
//!
//! Any data end a pause, but keep-alives do so only for a time: a stream that sends nothing but comments, pings, blanks
//! and events without content ends [`KEEP_ALIVES`] idle limits after the first of them that was noticed. Content can be
//! told from all else only by parsing an event. So events are parsed once in an idle limit, and each of them while
//! no content comes.
//!
//! After the end of a response keep-alives end no pause at all, and after the terminator nothing does.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::guard::watch::AllowedIdle;

/// Time to wait for data that may follow a finish reason (2 s).
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Time to wait for the connection's own end after the terminator (50 ms).
pub(super) const LINGER: Duration = Duration::from_millis(50);

/// Number of idle limits for which keep-alives keep a stream alive (10).
pub(super) const KEEP_ALIVES: u32 = 10;

/// Measures the time for which nothing has come.
pub(super) struct IdleTimer {
    pub(super) limit: Option<Duration>,
    /// Created when it is first needed, and then kept.
    timer: Option<Pin<Box<Sleep>>>,
    /// The kind of pause that the timer runs for, if it runs.
    running: Option<AllowedIdle>,
    /// The time since which nothing but keep-alives came.
    quiet_since: Option<Instant>,
    /// The time at which content was last found, or at which the first data came.
    heard_at: Option<Instant>,
}

// === impl IdleTimer ===

impl IdleTimer {
    pub(super) const fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: None, running: None, quiet_since: None, heard_at: None }
    }

    /// Returns whether to look for content in the data that have come.
    pub(super) fn is_due(&mut self, allowed_idle: AllowedIdle) -> bool {
        match (allowed_idle, self.limit) {
            (AllowedIdle::Grace, _) => true,
            (AllowedIdle::Linger, _) | (AllowedIdle::Limit, None) => false,
            (AllowedIdle::Limit, Some(limit)) => {
                let now = Instant::now();
                let heard_at = *self.heard_at.get_or_insert(now);
                self.quiet_since.is_some() || now.saturating_duration_since(heard_at) >= limit
            }
        }
    }

    /// Records that data came. `quiet`: only keep-alives were found in them. `looked`: content was looked for.
    pub(super) fn interrupt(&mut self, quiet: bool, looked: bool, allowed_idle: AllowedIdle) {
        let goes_on = match (self.running, allowed_idle) {
            (Some(AllowedIdle::Linger), AllowedIdle::Linger) => true,
            (Some(AllowedIdle::Grace), AllowedIdle::Grace) => quiet,
            _ => false,
        };
        if !goes_on {
            self.running = None;
        }
        if quiet && self.limit.is_some() {
            self.quiet_since.get_or_insert_with(Instant::now);
        } else if looked {
            self.quiet_since = None;
            self.heard_at = Some(Instant::now());
        }
    }

    /// Polls the timer while nothing comes. Ready when that has lasted too long.
    pub(super) fn poll(&mut self, allowed_idle: AllowedIdle, cx: &mut Context<'_>) -> Poll<()> {
        if self.running != Some(allowed_idle) {
            let now = Instant::now();
            let until = self.time_for(allowed_idle, now).and_then(|time| now.checked_add(time));
            let Some(until) = until else { return Poll::Pending };
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
            self.running = Some(allowed_idle);
        }
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }

    fn time_for(&self, allowed_idle: AllowedIdle, now: Instant) -> Option<Duration> {
        let least = |most: Duration| Some(self.limit.map_or(most, |limit| limit.min(most)));
        match allowed_idle {
            AllowedIdle::Limit => self.time_left(now),
            AllowedIdle::Grace => least(GRACE),
            AllowedIdle::Linger => least(LINGER),
        }
    }

    /// Returns the idle limit, or the rest of the time for which keep-alives count if that is shorter.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let (limit, since) = (self.limit?, self.quiet_since);
        let quiet = since.map(|since| now.saturating_duration_since(since));
        let left = quiet.map(|quiet| limit.saturating_mul(KEEP_ALIVES).saturating_sub(quiet));
        Some(left.map_or(limit, |left| left.min(limit)))
    }
}
