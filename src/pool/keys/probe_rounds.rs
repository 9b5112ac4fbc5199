//! Probe rounds: the endpoints that have tried a scope since its last scheduled probe.
//!
//! A scope that refusals keep out is probed on a schedule: once when its cooldown ends, and once a minute in an auth
//! outage. One request makes that probe, and the endpoint of that request may fail with every key. A caller that asks
//! such an endpoint often enough would make each scheduled probe, and no other caller would notice that the keys
//! are good again. So each scheduled probe begins a *round*, in which the next request for any other endpoint tries the
//! scope once as well.
//!
//! - Recovery takes no longer than without such a caller: the time to the scheduled probe, the responses to the probes
//!   of other endpoints that are in flight, and the time to the next request.
//! - An endpoint without others has the scheduled probe of each round, as if there were no rounds.
//! - An endpoint has used its try when its request is sent, whatever the response: a 400, a timeout and a caller that
//!   leaves show nothing about the key either. A request that is not sent uses none.
//! - Only the scheduled probe counts as one more failure of the scope. Otherwise an app with many endpoints would
//!   lengthen its own cooldowns.
//!
//! The alternative, that an endpoint gives way to others after a refused probe, is worse. The good endpoint was
//! refused during the outage too, so it would give way like a bad one and wait for its turn among all bad ones. It also
//! needs an end of giving way, for an endpoint that is alone, and a time for waiters that depends on their endpoint.
//! With rounds no request is held back, so the times that errors and waiters know stay true.
//!
//! A round also begins when a refusal puts a scope into a cooldown. While other keys are usable, a request
//! tries a scope only as long as the round is *open*. It is open until a key of other scopes has served a request that
//! was refused here; after a cooldown that began with such evidence, until that has happened at a second endpoint.
//!
//! A round remembers up to [`MOST_ENDPOINTS`] hashes. Endpoints beyond them may try the scope more often, one request
//! at a time, so that a caller who makes up endpoints excludes no other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pool::scope::level::Level;
use crate::provider::ModelId;

/// Maximum number of endpoints that are remembered for a round (32).
const MOST_ENDPOINTS: usize = 32;

/// The rounds of all scopes that refusals keep out. No other lock is taken while they are locked.
#[derive(Default)]
pub(in crate::pool) struct ProbeRounds {
    rounds: Mutex<HashMap<ScopeId, Round>>,
    /// Whether a round may be open. Each request asks, and a flag is cheaper than the lock.
    may_be_open: AtomicBool,
}

/// The identity of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::pool) struct ScopeId {
    pub(in crate::pool) level: Level,
    /// The number of the key or the account.
    pub(in crate::pool) number: usize,
    /// The model, for the scopes of a model.
    pub(in crate::pool) model: Option<ModelId>,
}

/// The rounds that a request may take part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounds {
    /// All of them: no key is usable.
    All,
    /// Those that are open.
    Open,
}

#[derive(Debug, Default)]
struct Round {
    /// The hashes of the endpoints that have tried the scope or were refused, up to [`MOST_ENDPOINTS`].
    endpoints: Vec<u64>,
    /// The endpoint whose confirmed refusal began the cooldown. `None` for a round of a scheduled probe.
    raised_by: Option<u64>,
    /// Whether there is enough evidence against the scope.
    is_closed: bool,
}

// === impl ProbeRounds ===

impl ProbeRounds {
    /// Returns whether a round may be open.
    pub(in crate::pool) fn may_be_open(&self) -> bool {
        self.may_be_open.load(Ordering::Relaxed)
    }

    /// Begins the round of a scheduled probe. The endpoint of the probe is [noted](Self::note) when it is sent.
    pub(in crate::pool) fn begin(&self, scope: ScopeId) {
        self.open(scope, Round::default());
    }

    /// Begins the round of a scope that a refusal at one of these endpoints has put into a cooldown, without another
    /// key that has served the request.
    pub(in crate::pool) fn begin_refused(&self, scope: ScopeId, endpoints: [u64; 2]) {
        self.open(scope, Round { endpoints: endpoints.into(), ..Round::default() });
    }

    /// Begins the round of a scope that a confirmed refusal at this endpoint has put into a cooldown.
    pub(in crate::pool) fn begin_confirmed(&self, scope: ScopeId, endpoint: u64) {
        let round = Round { endpoints: vec![endpoint], raised_by: Some(endpoint), is_closed: false };
        self.open(scope, round);
    }

    fn open(&self, scope: ScopeId, round: Round) {
        let mut rounds = self.lock();
        rounds.insert(scope, round);
        self.may_be_open.store(true, Ordering::Relaxed);
    }

    /// Notes that an endpoint has tried the scope, or was refused there.
    pub(in crate::pool) fn note(&self, scope: &ScopeId, endpoint: u64) {
        if let Some(round) = self.lock().get_mut(scope)
            && !round.endpoints.contains(&endpoint)
            && round.endpoints.len() < MOST_ENDPOINTS
        {
            round.endpoints.push(endpoint);
        }
    }

    /// Notes that another key has served a request that was refused at this endpoint.
    pub(in crate::pool) fn confirm(&self, scope: &ScopeId, endpoint: u64) {
        if let Some(round) = self.lock().get_mut(scope) {
            round.is_closed |= round.raised_by != Some(endpoint);
        }
    }

    /// Ends the round of a scope that is known to be at fault.
    pub(in crate::pool) fn end(&self, scope: &ScopeId) {
        self.lock().remove(scope);
    }

    /// Returns whether the endpoint makes the scheduled probe of the round, and not one of the further tries.
    pub(in crate::pool) fn is_scheduled(&self, scope: &ScopeId, endpoint: u64) -> bool {
        self.lock()
            .get(scope)
            .and_then(|round| round.endpoints.first())
            .is_none_or(|first| *first == endpoint)
    }

    /// Returns those of the `candidates`, given with their scopes, that a request for an endpoint may try. `endpoint` is
    /// called only if there are rounds.
    pub(in crate::pool) fn untried<T>(
        &self,
        among: Rounds,
        endpoint: impl FnOnce() -> u64,
        candidates: impl Iterator<Item = (ScopeId, T)>,
    ) -> Vec<T> {
        let rounds = self.lock();
        if rounds.is_empty() {
            return Vec::new();
        }
        let endpoint = endpoint();
        let may_try = |round: &Round| {
            (among == Rounds::All || !round.is_closed) && !round.endpoints.contains(&endpoint)
        };
        // There may be many more candidates than rounds.
        if !rounds.values().any(may_try) {
            return Vec::new();
        }
        candidates
            .filter_map(|(scope, found)| rounds.get(&scope).is_some_and(may_try).then_some(found))
            .collect()
    }

    /// Forgets the rounds of scopes that refusals do not keep out any more.
    pub(in crate::pool) fn retain(&self, is_out: impl Fn(&ScopeId) -> bool) {
        let mut rounds = self.lock();
        rounds.retain(|scope, _| is_out(scope));
        self.may_be_open.store(rounds.values().any(|round| !round.is_closed), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ScopeId, Round>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: u64 = 1;
    const FILES: u64 = 2;
    const BATCHES: u64 = 3;

    fn scope() -> ScopeId {
        ScopeId { level: Level::Key, number: 0, model: None }
    }

    fn may_try(rounds: &ProbeRounds, among: Rounds, endpoint: u64) -> bool {
        !rounds.untried(among, || endpoint, std::iter::once((scope(), ()))).is_empty()
    }

    #[test]
    fn a_scheduled_probe_gives_each_endpoint_one_try() {
        let rounds = ProbeRounds::default();
        assert!(!rounds.may_be_open() && !may_try(&rounds, Rounds::All, CHAT));
        for _ in 0..3 {
            rounds.begin(scope());
            rounds.note(&scope(), FILES);
            assert!(rounds.is_scheduled(&scope(), FILES) && !may_try(&rounds, Rounds::Open, FILES));
            assert!(!rounds.is_scheduled(&scope(), CHAT) && may_try(&rounds, Rounds::Open, CHAT));
            rounds.note(&scope(), CHAT);
            assert!(!may_try(&rounds, Rounds::All, CHAT) && may_try(&rounds, Rounds::Open, BATCHES));
            rounds.confirm(&scope(), CHAT);
            assert!(!may_try(&rounds, Rounds::Open, BATCHES) && may_try(&rounds, Rounds::All, BATCHES));
        }
    }

    #[test]
    fn a_confirmed_refusal_needs_a_second_endpoint() {
        let rounds = ProbeRounds::default();
        rounds.begin_confirmed(scope(), FILES);
        rounds.confirm(&scope(), FILES);
        rounds.note(&scope(), BATCHES);
        assert!(may_try(&rounds, Rounds::Open, CHAT), "that an endpoint was refused confirms nothing");
        rounds.confirm(&scope(), BATCHES);
        assert!(!may_try(&rounds, Rounds::Open, CHAT));
    }

    #[test]
    fn rounds_of_free_scopes_are_forgotten() {
        let rounds = ProbeRounds::default();
        rounds.begin_refused(scope(), [CHAT, FILES]);
        rounds.retain(|_| true);
        assert!(rounds.may_be_open());
        rounds.confirm(&scope(), CHAT);
        rounds.retain(|_| true);
        assert!(!rounds.may_be_open() && may_try(&rounds, Rounds::All, BATCHES));
        rounds.retain(|_| false);
        assert!(!may_try(&rounds, Rounds::All, BATCHES));
    }

    #[test]
    fn the_endpoints_of_a_round_are_bounded() {
        let rounds = ProbeRounds::default();
        rounds.begin(scope());
        (0..1_000).for_each(|endpoint| rounds.note(&scope(), endpoint));
        assert_eq!(rounds.lock()[&scope()].endpoints.len(), MOST_ENDPOINTS);
        assert!(may_try(&rounds, Rounds::Open, 999));
    }
}
