//! Probes at another endpoint, of keys that were refused at one endpoint only.
//!
//! Unconfirmed refusals at one endpoint put a key into a cooldown after a minute (see `doubt`), and all keys
//! of a pool if all are refused. It is still open whether the keys or that endpoint are to blame. So if no
//! key is usable, a request for another endpoint probes one of them at once, and its success frees the key. A
//! refusal there is the second witness; afterwards the key is probed like any other.

use crate::clock::Moment;
use crate::pool::acquire::admit::{Admitted, Passes};
use crate::pool::keys::candidate::Place;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, State};
use crate::pool::{Ask, KeyPool, Lease};

impl KeyPool {
    /// Leases a key for a probe, if it was refused only at other endpoints. `endpoint` returns the hash of
    /// the request's destination.
    pub(crate) fn probe_at(
        &self,
        endpoint: impl FnOnce() -> u64,
        ask: &Ask<'_>,
        now: Moment,
    ) -> Option<Lease> {
        let set = self.0.set.load_full();
        if set.doubts().is_empty() {
            return None;
        }
        let (lane, endpoint) = (ask.model.and_then(|model| set.models.get(model)), endpoint());
        let refused = |key: &usize| set.doubts().is_only_elsewhere(*key, &set.keys[*key].served, endpoint);
        let admitted = (0..set.keys.len())
            .filter(refused)
            .map(|key| Place::new(&set, lane.as_deref(), key))
            .filter(|place| !place.key().is_disabled() && ask.allows(&place.key().id))
            .find_map(|place| place.admit_early(ask, now))?;
        Some(Lease::new(set, lane, admitted, ask.need, now))
    }
}

impl Place<'_> {
    /// Admits one request although refusals keep the key out, if nothing else does.
    fn admit_early(self, ask: &Ask<'_>, at: Moment) -> Option<Admitted> {
        let mut closed = self.levels().iter().filter(|level| self.state(**level).is_closed(at.as_unix_ms()));
        let level = *closed.next().filter(|level| is_refused(self.state(**level)))?;
        let offers = self.offers(&ask.need, at).ok().filter(|_| closed.next().is_none())?;
        let pass = self.slot(level)?.admit_early()?;
        let mut passes = Passes::default();
        for other in Level::ALL.into_iter().filter(|other| *other != level) {
            passes[other as usize].epoch = self.state(other).epoch;
        }
        passes[level as usize] = pass;
        Some(Admitted { marks: self.take(offers, &ask.need, at), ..Admitted::new(self, passes) })
    }
}

const fn is_refused(state: State) -> bool {
    matches!(state.cause, Some(Cause::Invalid | Cause::QuotaExceeded | Cause::Forbidden))
}
