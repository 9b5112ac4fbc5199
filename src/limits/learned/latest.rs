//! Response ordering: decides which response about a limit is the newest.
//!
//! Responses arrive in any order. The later a request was sent, the newer is the information in its response.
//! But requests that are sent at about the same time may overtake each other: a small one arrives before a
//! large one does. The response to the request that was sent last then excludes what the other request took,
//! and a gauge that took it over would overestimate the bucket by that amount.
//!
//! The values themselves reveal the order: taking moves the time at which a bucket is full, and the used
//! amount of a window, and nothing else moves them except the reset of the window.

use crate::clock::Moment;
use crate::limits::ledger::window::CORRECTION_US;

/// The newest response that a gauge has taken into account.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::limits) struct LatestResponse {
    /// The time at which its request was sent, in milliseconds since the Unix epoch; wraps. Zero means that
    /// there was no response.
    sent: u32,
    /// A value that grows with everything that is taken; wraps. For a bucket it is the time at which it is
    /// full, in units of [`CORRECTION_US`] since the Unix epoch. For a window it is the used amount.
    spent: u32,
}

/// Maximum time between two requests that may have overtaken each other, in milliseconds.
const CLOSE: u32 = 100;

/// Tolerance for requests that travel unevenly: two milliseconds, in units of [`CORRECTION_US`]. Smaller
/// differences do not matter.
const UNEVEN: i32 = (2_000 / CORRECTION_US) as i32;

/// Maximum duration of a response: one hour, in milliseconds. A response that seems older is a wrapped time:
/// there was no response for weeks.
const LONGEST: i32 = 60 * 60 * 1_000;

// === impl LatestResponse ===

impl LatestResponse {
    /// Returns whether there was no response yet.
    pub(in crate::limits) const fn is_nothing(self) -> bool {
        self.sent == 0
    }

    /// Records the time at which a bucket would be full, in microseconds since the Unix epoch, as reported by
    /// the response to a request that was sent at `sent`. Returns whether the response is the newest; an
    /// older one is not recorded.
    pub(in crate::limits) fn take_latest_of_bucket(&mut self, sent: Moment, full_at: u64) -> bool {
        self.take_latest(sent, (full_at / CORRECTION_US.cast_unsigned()) as u32, UNEVEN)
    }

    /// Records the used amount of a window. Returns whether the response is the newest, like
    /// [`take_latest_of_bucket`](Self::take_latest_of_bucket).
    pub(in crate::limits) fn hear_of_window(&mut self, sent: Moment, used: u64) -> bool {
        self.take_latest(sent, used as u32, 0)
    }

    /// Returns the time at which the latest request was sent, in milliseconds since the Unix epoch; `None` if
    /// there is none. `now` is not earlier.
    pub(in crate::limits) fn sent_before(self, now: u64) -> Option<u64> {
        let ago = (now as u32).wrapping_sub(self.sent);
        (!self.is_nothing()).then(|| now.saturating_sub(ago.into()))
    }

    fn take_latest(&mut self, sent: Moment, spent: u32, uneven: i32) -> bool {
        let now = Self { sent: (sent.as_unix_ms() as u32).max(1), spent };
        let older_by = self.sent.wrapping_sub(now.sent).cast_signed();
        let is_news = match older_by {
            _ if self.is_nothing() => true,
            _ if older_by.unsigned_abs() <= CLOSE => {
                now.spent.wrapping_sub(self.spent).cast_signed() >= -uneven
            }
            _ => !(1..LONGEST).contains(&older_by),
        };
        if is_news {
            *self = now;
        }
        is_news
    }
}
