//! Availability: the time at which a key becomes usable.

use crate::clock::Moment;
use crate::limits::{Need, Opening};
use crate::pool::acquire::exhausted::{Exhausted, Wait};
use crate::pool::acquire::request::Ask;
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::learn::outage::Others;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::Gate;
use crate::pool::scope::slot::{Cause, FOREVER, State};

/// The availability of one key.
enum Outlook {
    /// Usable at this time, in microseconds since the Unix epoch.
    At(u64),
    /// Usable as soon as the probe in flight succeeds, or a request that takes the last place has ended.
    Probing,
    /// Not usable without an operator.
    Never,
}

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
    lane: Option<&ModelLane>,
    ask: &Ask<'_>,
    now: Moment,
) -> Exhausted {
    let (mut any, mut limited) = (Earliest::default(), Earliest::default());
    let places = (0..set.keys.len()).map(|key| Place::new(set, lane, key));
    for place in places.filter(|place| ask.allows(&place.key().id)) {
        let outlook = outlook(place, &ask.need, now);
        any.add(&outlook);
        if !is_refused(place, now.as_unix_ms()) {
            limited.add(&outlook);
        }
    }
    let suspect = set.common.suspicion.next_probe(Others::None);
    let suspect = suspect.map(|at| now.in_ms(at).as_unix_us());
    let wait = |until| Moment::from_unix_us(until).saturating_since(now);
    let retry_after = any.at.into_iter().chain(suspect).min().map(wait);
    let wait = Wait { limited: limited.at.map(wait), probing: limited.probing };
    Exhausted::new(retry_after, any.probing, wait)
}

fn outlook(place: Place<'_>, need: &Need, now: Moment) -> Outlook {
    let states = Level::ALL.map(|level| place.state(level));
    let waits = |state: &State| now.as_unix_ms() < state.until && state.until < FOREVER;
    if place.key().is_disabled() || states.iter().any(|state| state.until == FOREVER && !state.probing) {
        return Outlook::Never;
    }
    // Cooldowns begin in whole milliseconds, and are reported in the same precision.
    let ends = |until| now.in_ms(until).as_unix_us();
    let benched = states.iter().map(|state| state.until).fold(0, u64::max);
    let mut latest = ends(benched).max(now.as_unix_us());
    let mut probing = states.iter().any(|state| state.probing && !waits(state));
    // For a key in a cooldown the slow starts do not matter.
    probing |= benched <= now.as_unix_ms() && is_on_full_ramp(place, &states);
    for gate in place.choruses().into_iter().filter_map(|chorus| place.held(chorus, now.as_unix_ms())) {
        match gate {
            Gate::Held(Some(next)) => latest = latest.max(ends(next)),
            Gate::Held(None) => probing = true,
            Gate::Open | Gate::Trial => {}
        }
    }
    for (_, ledger) in place.ledgers() {
        match ledger.opening(need, now) {
            Opening::At(at) => latest = latest.max(at),
            Opening::AfterAnother => probing = true,
            Opening::Never => return Outlook::Never,
        }
    }
    if probing { Outlook::Probing } else { Outlook::At(latest) }
}

/// Returns whether the key is in cooldown as invalid or forbidden, which time alone does not change.
fn is_refused(place: Place<'_>, now: u64) -> bool {
    let refused = |state: State| matches!(state.cause, Some(Cause::Invalid | Cause::Forbidden));
    Level::ALL.map(|level| place.state(level)).into_iter().any(|state| refused(state) && state.is_closed(now))
}

fn is_on_full_ramp(place: Place<'_>, states: &[State; 4]) -> bool {
    let full = |(level, state): (Level, &State)| place.slot(level).is_some_and(|slot| slot.is_full(*state));
    Level::ALL.into_iter().zip(states).any(full)
}

// === impl Earliest ===

impl Earliest {
    fn add(&mut self, outlook: &Outlook) {
        match *outlook {
            Outlook::At(until) => self.at = Some(self.at.map_or(until, |before| until.min(before))),
            Outlook::Probing => self.probing = true,
            Outlook::Never => {}
        }
    }
}
