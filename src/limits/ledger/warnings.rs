//! Warning thresholds: emits each warning once per window.

use crate::clock::Moment;
use crate::limits::ledger::window::US_PER_S;

/// The warning thresholds that were reported, each of them once per window.
#[derive(Debug, Default)]
pub(in crate::limits) struct WarnedThresholds {
    /// The time of the first report, in [`PARTS`] of the window since the Unix epoch; wraps.
    at: u16,
    /// The thresholds that were reported in the window that began then, one bit each. The lowest bit is the
    /// lowest threshold.
    shares: u8,
}

/// Parts into which a window is divided, to detect when it is over.
const PARTS: u64 = 64;

/// Minimum window for warnings, in seconds. Warnings are meant for operators, and a shorter window is over
/// before one can act.
const SHORTEST_S: u32 = 60;

// === impl WarnedThresholds ===

impl WarnedThresholds {
    /// Returns whether warnings apply to a window of this length in seconds.
    pub(in crate::limits) const fn concerns(window: u32) -> bool {
        window >= SHORTEST_S
    }

    /// Starts a new window, in which all warnings may be emitted again.
    pub(in crate::limits) const fn forget(&mut self) {
        self.shares = 0;
    }

    /// Returns the thresholds that are crossed and were not reported in this window, and marks them as
    /// reported. `shares` are in ascending order. Warnings have to [apply](Self::concerns) to the window.
    pub(in crate::limits) fn news<'a>(
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
