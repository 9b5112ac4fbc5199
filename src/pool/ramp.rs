//! A scope that has just recovered is not overrun.
//!
//! A hundred requests may wait for one key. If all went out in the millisecond in which its probe
//! succeeds, the key would be limited again at once, and a hundred requests refused. So what has recovered
//! from a limit admits two leases at a time at first, and twice as many with each success, until there are
//! so many that nobody counts any more. Who asks one after the other never notices.
//!
//! One word beside the scope's own, which says of which epoch it is: a ramp counts only while the scope is
//! in the epoch that began with its recovery, and a place that is returned later is nobody's business. It
//! is written before the scope is freed, so that whoever finds the scope free finds the ramp, too.

use crate::sync::{AtomicU64, Ordering};

/// How many leases at a time there are at first.
const FIRST: u16 = 2;

/// Zero: no ramp.
#[derive(Default)]
pub(crate) struct Ramp(AtomicU64);

/// A ramp, unpacked.
#[derive(Clone, Copy)]
struct Step {
    epoch: u16,
    /// How many leases there may be at a time; never zero.
    allowance: u16,
    /// How many there are; at most so many.
    out: u16,
}

/// Whether a ramp lets a lease in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// There is no ramp.
    Free,
    /// There was a place, which is the lease's now.
    Taken,
    /// All places are taken.
    Full,
}

// === impl Ramp ===

impl Ramp {
    /// The scope is about to be freed, and in this epoch then. `last`: the most leases at a time that are
    /// worth counting.
    pub(crate) fn begin(&self, epoch: u16, last: u16) {
        let step = (last >= FIRST).then_some(Step { epoch, allowance: FIRST, out: 0 });
        self.0.store(pack(step), Ordering::Release);
    }

    /// There is no ramp for this epoch.
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

    /// A lease that had a place is over. If it succeeded, there are twice as many, and if that were more
    /// than `last`, no bound any more.
    pub(crate) fn leave(&self, epoch: u16, succeeded: bool, last: u16) {
        self.update(|step| {
            if step.epoch != epoch {
                return Some(step);
            }
            let allowance = if succeeded { step.allowance.saturating_mul(2) } else { step.allowance };
            (allowance <= last).then_some(Step { allowance, out: step.out.saturating_sub(1), ..step })
        });
    }

    /// Whether all places of this epoch are taken.
    pub(crate) fn is_full(&self, epoch: u16) -> bool {
        let step = unpack(self.0.load(Ordering::Acquire));
        step.is_some_and(|step| step.epoch == epoch && step.out >= step.allowance)
    }

    /// Changes the ramp, if there is one.
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
    let word =
        |step: Step| u64::from(step.epoch) << 32 | u64::from(step.allowance) << 16 | u64::from(step.out);
    step.map_or(0, word)
}

const fn unpack(word: u64) -> Option<Step> {
    let (epoch, allowance, out) = ((word >> 32) as u16, (word >> 16) as u16, word as u16);
    if allowance == 0 { None } else { Some(Step { epoch, allowance, out }) }
}
