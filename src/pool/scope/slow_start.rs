//! Slow start: limits the load on a scope that has just recovered.
//!
//! A hundred requests may wait for one key. If all of them went out in the millisecond in which its probe
//! succeeds, the key would be limited again at once, and a hundred requests refused. So a scope that has
//! recovered from a limit admits two leases at first, and twice as many with each success, until there are so
//! many that counting stops. Sequential requests never notice.
//!
//! The slow start is one word beside the scope's own. The word contains its epoch: a slow start counts only
//! in the epoch that began with the recovery, and a place that is returned later has no effect. It is written
//! before the scope is freed, so every thread that sees the scope free sees the slow start, too.

use crate::sync::{AtomicU64, Ordering};

/// Number of concurrent leases at the beginning.
const FIRST: u16 = 2;

/// A slow start, packed; zero means none.
#[derive(Default)]
pub(crate) struct Ramp(AtomicU64);

/// A slow start, unpacked.
#[derive(Clone, Copy)]
struct Step {
    epoch: u16,
    /// Maximum number of concurrent leases; never zero.
    allowance: u16,
    /// Present number of leases; at most `allowance`.
    out: u16,
}

/// The result of entering a slow start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Admitted, because there is no slow start.
    Free,
    /// Admitted, on a place that the lease now holds.
    Taken,
    /// Refused, because all places are taken.
    Full,
}

// === impl Ramp ===

impl Ramp {
    /// Begins the slow start of an epoch, before the scope is freed. `last` is the maximum number of
    /// concurrent leases that is worth counting.
    pub(crate) fn begin(&self, epoch: u16, last: u16) {
        let step = (last >= FIRST).then_some(Step { epoch, allowance: FIRST, out: 0 });
        self.0.store(pack(step), Ordering::Release);
    }

    /// Ends the slow start of this epoch.
    pub(crate) fn end(&self, epoch: u16) {
        self.update(|step| (step.epoch != epoch).then_some(step));
    }

    pub(crate) fn enter(&self, epoch: u16) -> Entry {
        let mut entry = Entry::Free;
        self.update(|step| {
            let counts = step.epoch == epoch;
            entry = match step {
                _ if !counts => Entry::Free,
                Step { allowance, out, .. } if out >= allowance => Entry::Full,
                Step { .. } => Entry::Taken,
            };
            Some(Step { out: step.out + u16::from(entry == Entry::Taken), ..step })
        });
        entry
    }

    /// Gives back the place of a lease. A success doubles the number of places. Above `last` places the slow
    /// start ends.
    pub(crate) fn leave(&self, epoch: u16, succeeded: bool, last: u16) {
        self.update(|step| {
            if step.epoch != epoch {
                return Some(step);
            }
            let allowance = if succeeded { step.allowance.saturating_mul(2) } else { step.allowance };
            (allowance <= last).then_some(Step { allowance, out: step.out.saturating_sub(1), ..step })
        });
    }

    /// Returns whether all places of this epoch are taken.
    pub(crate) fn is_full(&self, epoch: u16) -> bool {
        let step = unpack(self.0.load(Ordering::Acquire));
        step.is_some_and(|step| step.epoch == epoch && step.out >= step.allowance)
    }

    /// Changes the slow start, if there is one.
    fn update(&self, mut change: impl FnMut(Step) -> Option<Step>) {
        let mut word = self.0.load(Ordering::Acquire);
        while let Some(step) = unpack(word) {
            let after = pack(change(step));
            if after == word {
                return;
            }
            match self.0.compare_exchange_weak(word, after, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(newer) => word = newer,
            }
        }
    }
}

fn pack(step: Option<Step>) -> u64 {
    // From the lowest bit, 16 bits each: `out`, `allowance`, `epoch`.
    let word =
        |step: Step| u64::from(step.epoch) << 32 | u64::from(step.allowance) << 16 | u64::from(step.out);
    step.map_or(0, word)
}

const fn unpack(word: u64) -> Option<Step> {
    let (epoch, allowance, out) = ((word >> 32) as u16, (word >> 16) as u16, word as u16);
    if allowance == 0 { None } else { Some(Step { epoch, allowance, out }) }
}
