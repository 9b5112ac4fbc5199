//! Which of the answers is the newest.
//!
//! Answers come in any order, and the later a request was sent, the newer is what its answer says. But requests
//! that are sent at about the same time may overtake each other: a small one is there before a large one is. The
//! answer of the one that was sent last says nothing then of what the other took, and whoever believed it would
//! think the bucket fuller by all that. Yet of a bucket it can be told who came last: what is taken moves on the
//! time at which it is full, and nothing else does.

use super::gauge::CORRECTION_US;
use crate::clock::Moment;

/// The newest answer that a gauge has heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// When its request was sent, in milliseconds since the Unix epoch; wraps. Zero: there was none.
    sent: u32,
    /// When a bucket would have been full, in units of [`CORRECTION_US`] since the Unix epoch; wraps.
    full_at: u32,
}

/// Requests that were sent so close together may have overtaken each other, in milliseconds.
const CLOSE: i32 = 100;

/// How unevenly requests travel, in units of [`CORRECTION_US`]: two milliseconds. What took less does not matter.
const UNEVEN: i32 = 2_000 / CORRECTION_US as i32;

/// No answer takes so long: what seems older is of a gauge that nobody has heard of for weeks.
const LONGEST: i32 = 60 * 60 * 1_000;

// === impl Heard ===

impl Heard {
    /// No answer has been heard.
    pub(super) const fn is_nothing(self) -> bool {
        self.sent == 0
    }

    /// Takes note of an answer to a request that was sent then, unless a newer one was heard before; says which.
    /// `full_at` is what it says of a bucket, in microseconds since the Unix epoch.
    pub(super) fn hear(&mut self, sent: Moment, full_at: Option<u64>) -> bool {
        let now = Self { sent: (sent.as_unix_ms() as u32).max(1), full_at: units(full_at.unwrap_or(0)) };
        let older_by = self.sent.wrapping_sub(now.sent).cast_signed();
        let is_news = match older_by {
            _ if self.is_nothing() => true,
            _ if older_by.abs() <= CLOSE && full_at.is_some() => {
                now.full_at.wrapping_sub(self.full_at).cast_signed() >= -UNEVEN
            }
            _ => !(1..LONGEST).contains(&older_by),
        };
        if is_news {
            *self = now;
        }
        is_news
    }
}

const fn units(us: u64) -> u32 {
    (us / CORRECTION_US.cast_unsigned()) as u32
}
