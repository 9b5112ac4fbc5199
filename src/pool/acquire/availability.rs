//! Availability: the time at which a key becomes usable.

use crate::clock::Moment;
use crate::limits::{Availability, Cost};
use crate::pool::acquire::exhausted::{Exhausted, Wait};
use crate::pool::acquire::request::AcquireRequest;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::serving::KeyMask;
use crate::pool::learn::outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::CanaryGate;
use crate::pool::scope::slot::{Cause, FOREVER, State};

/// The availability of the first of several keys.
#[derive(Default)]
struct Earliest {
    at: Option<u64>,
    probing: bool,
}

/// Returns the error of a request that no key can serve now, with the time until the first key becomes
/// usable for it.
pub(in crate::pool) fn exhausted(
    set: &KeySet,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Exhausted {
    if request.mask.is_some_and(KeyMask::is_empty) {
        return Exhausted::no_key_may_serve();
    }
    let (mut any, mut limited) = (Earliest::default(), Earliest::default());
    let candidates = set.live().map(|key| Candidate::new(set, model_state, key));
    for candidate in candidates.filter(|candidate| request.allows(set, candidate.key)) {
        let availability = availability(candidate, &request.cost, now);
        any.add(availability);
        if !is_refused(candidate, now.as_unix_ms()) {
            limited.add(availability);
        }
    }
    let suspect = outage::next_probe(set, model_state, request, now).map(|at| now.in_ms(at).as_unix_us());
    let wait = |until| Moment::from_unix_us(until).saturating_since(now);
    let retry_after = any.at.into_iter().chain(suspect).min().map(wait);
    let wait = Wait { limited: limited.at.map(wait), probing: limited.probing };
    Exhausted::new(retry_after, any.probing, wait)
}

fn availability(candidate: Candidate<'_>, cost: &Cost, now: Moment) -> Availability {
    let states = Level::ALL.map(|level| candidate.state(level));
    let waits = |state: &State| now.as_unix_ms() < state.until && state.until < FOREVER;
    if candidate.key().is_disabled() || states.iter().any(|state| state.until == FOREVER && !state.probing) {
        return Availability::Never;
    }
    // Cooldowns begin in whole milliseconds, and are reported in the same precision.
    let ends = |until| now.in_ms(until).as_unix_us();
    let cooldown = states.iter().map(|state| state.until).fold(0, u64::max);
    let mut latest = ends(cooldown).max(now.as_unix_us());
    let mut probing = states.iter().any(|state| state.probing && !waits(state));
    // For a key in a cooldown the slow starts do not matter.
    probing |= cooldown <= now.as_unix_ms() && is_on_full_ramp(candidate, &states);
    for gate in candidate
        .shared_limits()
        .into_iter()
        .filter_map(|shared_limit| candidate.held(shared_limit, now.as_unix_ms()))
    {
        match gate {
            CanaryGate::Held(Some(next)) => latest = latest.max(ends(next)),
            CanaryGate::Held(None) => probing = true,
            CanaryGate::Open | CanaryGate::Canary => {}
        }
    }
    for (_, ledger) in candidate.ledgers() {
        match ledger.availability(cost, now) {
            Availability::At(at) => latest = latest.max(at),
            Availability::AfterAnother => probing = true,
            Availability::Never => return Availability::Never,
        }
    }
    if probing { Availability::AfterAnother } else { Availability::At(latest) }
}

/// Returns whether the key is in cooldown as invalid or forbidden, which time alone does not change.
fn is_refused(candidate: Candidate<'_>, now: u64) -> bool {
    let refused = |state: State| matches!(state.cause, Some(Cause::Invalid | Cause::Forbidden));
    Level::ALL
        .map(|level| candidate.state(level))
        .into_iter()
        .any(|state| refused(state) && state.is_closed(now))
}

fn is_on_full_ramp(candidate: Candidate<'_>, states: &[State; 4]) -> bool {
    let full =
        |(level, state): (Level, &State)| candidate.slot(level).is_some_and(|slot| slot.is_full(*state));
    Level::ALL.into_iter().zip(states).any(full)
}

// === impl Earliest ===

impl Earliest {
    fn add(&mut self, availability: Availability) {
        match availability {
            Availability::At(until) => self.at = Some(self.at.map_or(until, |before| until.min(before))),
            Availability::AfterAnother => self.probing = true,
            Availability::Never => {}
        }
    }
}
