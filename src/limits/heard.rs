//! Which of the answers is the newest.
//!
//! Answers come in any order, and the later a request was sent, the newer is what its answer says. But requests
//! that are sent at about the same time may overtake each other: a small one is there before a large one is. The
//! answer of the one that was sent last says nothing then of what the other took, and whoever believed it would
//! think the bucket fuller by all that. Yet it can be told who came last: taking moves on the time at which a bucket
//! is full, and how much of a window is used, and nothing else does but the window's turn.

use super::gauge::CORRECTION_US;
use crate::clock::Moment;

/// The newest answer that a gauge has heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// When its request was sent, in milliseconds since the Unix epoch; wraps. Zero: there was none.
    sent: u32,
    /// What grows with all that is taken: of a bucket, when it is full, in units of [`CORRECTION_US`] since the
    /// Unix epoch; of a window, what is used. Wraps.
    spent: u32,
}

/// Requests that were sent so close together may have overtaken each other, in milliseconds.
const CLOSE: u32 = 100;

/// How unevenly requests travel, in units of [`CORRECTION_US`]: two milliseconds. What took less does not matter.
const UNEVEN: i32 = (2_000 / CORRECTION_US) as i32;

/// No answer takes so long: what seems older is of a gauge that nobody has heard of for weeks.
const LONGEST: i32 = 60 * 60 * 1_000;

// === impl Heard ===

impl Heard {
    /// No answer has been heard.
    pub(super) const fn is_nothing(self) -> bool {
        self.sent == 0
    }

    /// Takes note of when a bucket would be full, in microseconds since the Unix epoch, as the answer to a request
    /// that was sent then says; unless a newer answer was heard before. Says which.
    pub(super) fn hear_of_bucket(&mut self, sent: Moment, full_at: u64) -> bool {
        self.hear(sent, (full_at / CORRECTION_US.cast_unsigned()) as u32, UNEVEN)
    }

    /// The same, of how much of a window is used.
    pub(super) fn hear_of_window(&mut self, sent: Moment, used: u64) -> bool {
        self.hear(sent, used as u32, 0)
    }

    fn hear(&mut self, sent: Moment, spent: u32, uneven: i32) -> bool {
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
