//! The state behind all handles to one pool: the present key set, and leases from it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Moment;
use crate::pool::acquire::{acquire, early, other_endpoint};
use crate::pool::keys::common::Common;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::state_of;
use crate::pool::learn::secret::listen;
use crate::pool::lease::open::open;
use crate::pool::state::replica::Replica;
use crate::pool::{AcquireRequest, Exhausted, Lease, Rounds};

pub(in crate::pool) struct Shared {
    pub(in crate::pool) common: Arc<Common>,
    /// The present keys. A lease keeps the set that it came from.
    pub(in crate::pool) set: ArcSwap<KeySet>,
    /// The state as exported or merged last. No request touches it.
    pub(in crate::pool) replica: Mutex<Replica>,
}

// === impl Shared ===

impl Shared {
    /// Creates the state of a pool with its first key set.
    pub(in crate::pool) fn new(common: Arc<Common>, set: KeySet) -> Self {
        let set = Arc::new(set);
        let shared = Self { common, set: ArcSwap::new(Arc::clone(&set)), replica: Mutex::default() };
        shared.follow(set, |_| {});
        shared
    }

    /// Makes a set the present one. `prepare` runs when threads that create models know it, and no search
    /// does.
    pub(in crate::pool) fn follow(&self, set: Arc<KeySet>, prepare: impl FnOnce(&KeySet)) {
        if set.quotas.count_tokens() {
            self.common.count_tokens();
        }
        #[cfg(feature = "metrics")]
        self.common.events.declare_models(set.quotas.named_models());
        set.current.set(&set);
        prepare(&set);
        listen(&set);
        // A request that sees the new set must not take its model for unimportant.
        let needs_models = set.needs_models();
        if needs_models {
            self.common.models.declare(true);
        }
        self.set.store(set);
        self.common.models.declare(needs_models);
        self.common.reloaded.notify_waiters();
    }

    /// Leases a key. Looks again if the keys have changed meanwhile.
    pub(in crate::pool) fn acquire(
        &self,
        request: &AcquireRequest<'_>,
        now: Moment,
    ) -> Result<Lease, Exhausted> {
        loop {
            let set = self.set.load_full();
            let model_state = request.model.and_then(|model| state_of(&set, model, now.into()));
            let lane = model_state.as_deref();
            match request.within(&set, |request| acquire(&set, lane, request, now)) {
                Ok(admitted) => {
                    if let Some(lease) = open(set, model_state, admitted, request.cost, now) {
                        return Ok(lease);
                    }
                }
                Err(exhausted) if self.is_latest(&set) => return Err(exhausted),
                Err(_) => {}
            }
        }
    }

    /// Leases a key before the wait that its provider stated is over, or returns the time until that is
    /// allowed; `None` if it is not.
    pub(in crate::pool) fn acquire_early(
        &self,
        request: &AcquireRequest<'_>,
        now: Moment,
    ) -> Result<Lease, Option<Duration>> {
        let set = self.set.load_full();
        let model_state = request.model.and_then(|model| set.common.models.get(model));
        let lane = model_state.as_deref();
        let admitted = request.within(&set, |request| early::attempt(&set, lane, request, now))?;
        open(set, model_state, admitted, request.cost, now).ok_or(None)
    }

    /// Leases a key that refusals keep out, if the endpoint has not tried it in these rounds. `endpoint` returns the
    /// hash of the request's destination.
    pub(in crate::pool) fn probe_at<'a>(
        &self,
        among: Rounds,
        endpoint: impl FnOnce() -> u64,
        request: impl FnOnce() -> Option<AcquireRequest<'a>>,
    ) -> Option<Lease> {
        if among == Rounds::Open && !self.common.probe_rounds.may_be_open() {
            return None;
        }
        let (request, now) = (request()?, Moment::now());
        let set = self.set.load_full();
        let model_state = request.model.and_then(|model| set.common.models.get(model));
        let lane = model_state.as_deref();
        let probe =
            |request: &AcquireRequest<'_>| other_endpoint::probe(&set, lane, among, endpoint, request, now);
        let admitted = request.within(&set, probe)?;
        open(set, model_state, admitted, request.cost, now)
    }

    /// Returns whether the pool has no other keys than this set.
    fn is_latest(&self, set: &Arc<KeySet>) -> bool {
        Arc::ptr_eq(set, &self.set.load())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.common.reloaded.notify_waiters();
    }
}
