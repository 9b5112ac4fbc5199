//! Admission: checks a candidate at every scope, and against the shared limit detector.

use crate::clock::Moment;
use crate::limits::{Checkpoints, Cost};
use crate::pool::acquire::reserve::{offers, take};
use crate::pool::keys::candidate::Candidate;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::{CanaryGate, SharedLimitDetector};
use crate::pool::scope::slot::{Permit, SlotAdmission};

/// The permits of all scopes of a key, in the order of [`Level::ALL`].
pub(in crate::pool) type Permits = [Permit; 4];

/// Whether the lease is the canary of the shared limit detector, for every model and for its model.
pub(in crate::pool) type Canaries = [bool; 2];

/// A key that may be used, with the permits of all its scopes.
pub(in crate::pool) struct Admission {
    pub(in crate::pool) key: usize,
    pub(in crate::pool) account: usize,
    pub(in crate::pool) permits: Permits,
    pub(in crate::pool) canaries: Canaries,
    /// The checkpoint of the ledger at the [home](Candidate::home) scope, if that ledger exists.
    pub(in crate::pool) checkpoints: Option<Checkpoints>,
}

/// Admits a request to a candidate key at all its scopes. A refused request gives back everything that it
/// had.
///
/// The limits are checked first and stay locked until all slots have admitted the request. So no request
/// takes a probe and gives it back because of a limit, and nothing is taken from a limit in vain.
pub(in crate::pool) fn admit(candidate: Candidate<'_>, cost: &Cost, at: Moment) -> Option<Admission> {
    let now = at.as_unix_ms();
    if candidate.key().is_disabled() {
        candidate.sync(Level::Key, now);
        return None;
    }
    let offers = match offers(candidate, cost, at) {
        Ok(offers) => offers,
        Err(level) => {
            candidate.sync(level, now);
            return None;
        }
    };
    let canaries = if is_held_back(candidate) { take_canaries(candidate, now)? } else { Canaries::default() };
    let (mut permits, mut is_exclusive) = (Permits::default(), false);
    for &level in candidate.levels() {
        let Some(slot) = candidate.slot(level) else { continue };
        let SlotAdmission::Granted(permit) = slot.admit(now) else {
            drop(offers);
            refuse(candidate, permits, canaries, level, now);
            return None;
        };
        permits[level as usize] = permit;
        is_exclusive |= permit.is_exclusive();
    }
    let checkpoints = take(candidate, offers, cost, at);
    if is_exclusive {
        // Last, because this reads the limits, which are locked before.
        sync_exclusive(candidate, permits, now);
    }
    Some(Admission { canaries, checkpoints, ..Admission::new(candidate, permits) })
}

#[cold]
fn sync_exclusive(candidate: Candidate<'_>, permits: Permits, now: u64) {
    for level in Level::ALL.into_iter().filter(|level| permits[*level as usize].is_exclusive()) {
        if permits[level as usize].probe && candidate.state(level).is_of_refusal() {
            candidate.set.common.probe_rounds.begin(candidate.scope_id(level));
        }
        candidate.sync(level, now);
    }
}

/// Admits one request although a cooldown at `closed` keeps the key out. Its limits apply nevertheless.
pub(in crate::pool) fn admit_early(
    candidate: Candidate<'_>,
    closed: Level,
    cost: &Cost,
    at: Moment,
) -> Option<Admission> {
    let offers = offers(candidate, cost, at).ok()?;
    let permit = candidate.slot(closed)?.admit_early()?;
    let mut permits = Permits::default();
    for other in Level::ALL.into_iter().filter(|other| *other != closed) {
        permits[other as usize].epoch = candidate.state(other).epoch;
    }
    permits[closed as usize] = permit;
    Some(Admission { checkpoints: take(candidate, offers, cost, at), ..Admission::new(candidate, permits) })
}

/// Undoes an admission that one scope refused after others had granted it.
fn refuse(candidate: Candidate<'_>, permits: Permits, canaries: Canaries, by: Level, now: u64) {
    release(candidate, permits, canaries, now);
    // Last, because probes that are handed back set the ready bit again.
    candidate.sync(by, now);
}

/// Gives back the permits of a request that is not admitted, and wakes the waiters that were refused because
/// of them.
///
/// A state that lasts must not lead here, or the heads of the queues would wake each other and themselves
/// without end. So the limits are checked first, and a slot that refuses is closed to all requests: only
/// changes in between lead here.
fn release(candidate: Candidate<'_>, permits: Permits, canaries: Canaries, now: u64) {
    hand_back(candidate, permits, canaries, now);
    if are_exclusive(permits, canaries) {
        candidate.set.common.released.tell();
    }
}

/// Returns whether these permits may keep other requests out for as long as they are held.
pub(in crate::pool) fn are_exclusive(permits: Permits, canaries: Canaries) -> bool {
    canaries.contains(&true) || permits.iter().any(|permit| permit.is_exclusive())
}

/// Gives back the probes, the places in slow starts, and the canaries.
pub(in crate::pool) fn hand_back(candidate: Candidate<'_>, permits: Permits, canaries: Canaries, now: u64) {
    for level in Level::ALL {
        let permit = permits[level as usize];
        if let Some(slot) = candidate.slot(level).filter(|_| permit.probe) {
            slot.hand_back(permit);
            candidate.sync(level, now);
        }
        leave_slow_start(candidate, level, permit, false, now);
    }
    for (shared_limit, _) in
        candidate.shared_limits().into_iter().flatten().zip(canaries).filter(|(_, canary)| *canary)
    {
        shared_limit.hand_back(now);
    }
}

/// Gives back the place of a permit in a slow start, if it has one.
pub(in crate::pool) fn leave_slow_start(
    candidate: Candidate<'_>,
    level: Level,
    permit: Permit,
    succeeded: bool,
    now: u64,
) {
    if let Some(slot) = candidate.slot(level).filter(|_| permit.ramp) {
        slot.leave_slow_start(permit, succeeded, candidate.set.common.cooldowns.last_on_ramp());
        candidate.sync(level, now);
    }
}

/// Returns whether a shared limit detector holds back keys like this one.
fn is_held_back(candidate: Candidate<'_>) -> bool {
    candidate.shared_limits().into_iter().flatten().any(SharedLimitDetector::is_holding)
        && candidate.is_unknown()
}

#[cold]
fn take_canaries(candidate: Candidate<'_>, now: u64) -> Option<Canaries> {
    // A request that has to wait for one detector must not take the canary of the other.
    let shut = |shared_limit: &SharedLimitDetector| match shared_limit.gate(candidate.key, now) {
        CanaryGate::Held(next) => next.is_none_or(|next| next > now),
        CanaryGate::Open | CanaryGate::Canary => false,
    };
    if candidate.shared_limits().into_iter().flatten().any(shut) {
        return None;
    }
    let mut canaries = Canaries::default();
    for (shared_limit, canary) in candidate.shared_limits().into_iter().flatten().zip(0..) {
        match shared_limit.try_canary(candidate.key, now) {
            CanaryGate::Open => {}
            CanaryGate::Canary => canaries[canary] = true,
            CanaryGate::Held(_) => {
                release(candidate, Permits::default(), canaries, now);
                return None;
            }
        }
    }
    Some(canaries)
}

// === impl Admission ===

impl Admission {
    pub(in crate::pool) fn new(candidate: Candidate<'_>, permits: Permits) -> Self {
        Self {
            key: candidate.key,
            account: candidate.account,
            permits,
            canaries: Canaries::default(),
            checkpoints: None,
        }
    }
}
