//! Which alarms of a gauge were told.

use super::period::US_PER_S;
use crate::clock::Moment;

/// The shares that were told of, each of them once in a window.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// When the first was told, in [`PARTS`] of the window since the Unix epoch; wraps.
    at: u16,
    /// Which were told in the window that began then, a bit each; the lowest is that of the lowest share.
    shares: u8,
}

/// Of a window, for telling when one is over.
const PARTS: u64 = 64;

/// Alarms are for people, who do not care about what is over in less.
const SHORTEST_S: u32 = 60;

// === impl Told ===

impl Told {
    /// Whether anybody wants to hear of a window of so many seconds.
    pub(super) const fn concerns(window: u32) -> bool {
        window >= SHORTEST_S
    }

    /// The window has begun anew.
    pub(super) const fn forget(&mut self) {
        self.shares = 0;
    }

    /// Those of the shares, which come in rising order, that are used up and were not told of in this window:
    /// from now on they were. The window is one that [concerns](Self::concerns) somebody.
    pub(super) fn news<'a>(
        &mut self,
        shares: &'a [f64],
        used: f64,
        window: u32,
        now: Moment,
    ) -> impl Iterator<Item = f64> + use<'a> {
        let part = (now.as_unix_us() / (u64::from(window) * US_PER_S / PARTS)) as u16;
        if u64::from(part.wrapping_sub(self.at)) > PARTS {
            self.forget();
        }
        let bits = || shares.iter().zip((0..u8::BITS).map(|bit| 1 << bit));
        let crossed = bits().filter(|(share, _)| used >= **share).fold(0, |all, (_, bit)| all | bit);
        let news: u8 = crossed & !self.shares;
        if self.shares == 0 {
            self.at = part;
        }
        self.shares |= news;
        bits().filter(move |(_, bit)| news & bit != 0).map(|(share, _)| *share)
    }
}
