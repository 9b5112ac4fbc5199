//! When a key becomes usable.

use super::chorus::Gate;
use super::key_set::KeySet;
use super::models::ModelLane;
use super::place::{Level, Place};
use super::slot::{FOREVER, State};
use super::suspicion::Others;
use super::{Ask, Exhausted, KeyPool};
use crate::clock::Moment;
use crate::limits::{Need, Opening};

/// When a key becomes usable.
enum Outlook {
    /// At this time, in microseconds since the Unix epoch.
    At(u64),
    /// As soon as the probe that is out succeeds, or a request that takes the last place has ended.
    Probing,
    /// Not by itself.
    Never,
}

impl KeyPool {
    pub(super) fn exhausted(
        &self,
        set: &KeySet,
        lane: Option<&ModelLane>,
        ask: &Ask<'_>,
        now: Moment,
    ) -> Exhausted {
        let (mut earliest, mut probing) = (None, false);
        let places = (0..set.keys.len()).map(|key| Place::new(set, lane, key));
        for place in places.filter(|place| ask.allows(&place.key().id)) {
            match place.outlook(&ask.need, now) {
                Outlook::At(until) => earliest = Some(earliest.map_or(until, |before| until.min(before))),
                Outlook::Probing => probing = true,
                Outlook::Never => {}
            }
        }
        let suspect = self.0.common.suspicion.next_probe(Others::None);
        let suspect = suspect.map(|at| now.in_ms(at).as_unix_us());
        let earliest = earliest.into_iter().chain(suspect).min();
        Exhausted::until(earliest, probing, now)
    }
}

impl Place<'_> {
    fn outlook(self, need: &Need, now: Moment) -> Outlook {
        let states = Level::ALL.map(|level| self.state(level));
        let waits = |state: &State| now.as_unix_ms() < state.until && state.until < FOREVER;
        if self.key().is_disabled() || states.iter().any(|state| state.until == FOREVER && !state.probing) {
            return Outlook::Never;
        }
        // Benches began in whole milliseconds and are told so.
        let ends = |until| now.in_ms(until).as_unix_us();
        let benched = states.iter().map(|state| state.until).fold(0, u64::max);
        let mut latest = ends(benched).max(now.as_unix_us());
        let mut probing = states.iter().any(|state| state.probing && !waits(state));
        // What is benched in any case is not out for its ramps.
        probing |= benched <= now.as_unix_ms() && self.is_on_full_ramp(&states);
        for gate in self.choruses().into_iter().filter_map(|chorus| self.held(chorus, now.as_unix_ms())) {
            match gate {
                Gate::Held(Some(next)) => latest = latest.max(ends(next)),
                Gate::Held(None) => probing = true,
                Gate::Open | Gate::Trial => {}
            }
        }
        for (_, ledger) in self.ledgers() {
            match ledger.opening(need, now) {
                Opening::At(at) => latest = latest.max(at),
                Opening::AfterAnother => probing = true,
                Opening::Never => return Outlook::Never,
            }
        }
        if probing { Outlook::Probing } else { Outlook::At(latest) }
    }

    fn is_on_full_ramp(self, states: &[State; 4]) -> bool {
        let full =
            |(level, state): (Level, &State)| self.slot(level).is_some_and(|slot| slot.is_full(*state));
        Level::ALL.into_iter().zip(states).any(full)
    }
}
