//! The reason why no key is usable.

use crate::classify::Reason;
use crate::clock::Moment;
use crate::pool::keys::candidate::Place;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, State};
use crate::pool::{Ask, KeyPool};

impl KeyPool {
    /// Returns the reason that keeps out the key that clears most easily. `None` if no cooldown keeps that
    /// key out, but a limit or requests in flight.
    pub(crate) fn held_by(&self, ask: &Ask<'_>, now: Moment) -> Option<Reason> {
        let set = self.0.set.load();
        let lane = ask.model.and_then(|model| set.models.get(model));
        let places = (0..set.keys.len()).map(|key| Place::new(&set, lane.as_deref(), key));
        let held = places.map(|place| place.held_by(now.as_unix_ms())).min_by_key(|held| rank(*held));
        held.unwrap_or(Some(Reason::InvalidKey))
    }
}

impl Place<'_> {
    /// Returns the most lasting reason among the cooldowns of the key. A disabled key counts as invalid.
    fn held_by(self, now: u64) -> Option<Reason> {
        if self.key().is_disabled() {
            return Some(Reason::InvalidKey);
        }
        let states = Level::ALL.into_iter().map(|level| self.state(level));
        let reasons = states.filter(|state| state.is_closed(now)).filter_map(reason);
        reasons.max_by_key(|reason| rank(Some(*reason)))
    }
}

fn reason(state: State) -> Option<Reason> {
    Some(match state.cause? {
        Cause::RateLimited | Cause::Paced => Reason::RateLimited,
        Cause::QuotaExceeded => Reason::QuotaExceeded,
        Cause::Forbidden => Reason::Forbidden,
        Cause::Invalid => Reason::InvalidKey,
    })
}

/// Ranks reasons: the higher, the less easily a reason clears.
const fn rank(reason: Option<Reason>) -> u8 {
    match reason {
        None => 0,
        Some(Reason::RateLimited) => 1,
        Some(Reason::QuotaExceeded) => 2,
        Some(Reason::Forbidden) => 3,
        Some(_) => 4,
    }
}
