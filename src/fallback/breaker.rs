//! The circuit breaker of a link: it limits the calls to a provider that is down.
//!
//! The breaker counts faults of the *provider*, not those that concern a key or a request. It opens after a number
//! of faults in a row, or if too large a share of the recent calls failed. While it is open the link is skipped
//! without a call. When the open time is over, a single request passes as a probe. Its success closes the breaker,
//! its failure opens it for twice as long, and a probe whose caller went away is handed to the next request.
//!
//! A call succeeds when its response is handed over, and its body may still fail. Such failures are counted in a
//! row of their own, which only a body that came to its end interrupts: a provider that begins every stream and
//! finishes none is down as well.
//!
//! Nothing happens between requests. The end of the open time is noticed by the next request, so there is no task
//! and no timer, and an unused breaker costs nothing. Every change of state begins a new *generation*, and a permit
//! remembers the generation in which it was given out. So the late results of calls from an earlier generation
//! neither close a breaker that has opened meanwhile nor open one that has closed.
//!
//! The state is a few words behind a lock that is held for a few instructions and never across an await. The counts
//! are kept in a ring of buckets: memory is bounded, and counts older than the window are not cleared but
//! overwritten.

mod policy;
mod ring;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
pub use crate::fallback::breaker::policy::BreakerPolicy;
use crate::fallback::breaker::ring::{BUCKETS, Ring};

/// The breaker of one link. Clones share its state.
#[derive(Clone)]
pub(crate) struct Breaker(Arc<Shared>);

struct Shared {
    policy: BreakerPolicy,
    state: Mutex<BreakerState>,
}

/// The refusal of an open breaker: the link must not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BreakerOpen {
    /// Time until the next probe. `None`: a probe is under way, and its end decides.
    pub(crate) retry_after: Option<Duration>,
}

/// The permit to call the link once. If it is dropped, nothing is counted, and its probe is handed back.
#[must_use = "a permit that is dropped at once admits no request"]
pub(crate) struct BreakerPermit {
    breaker: Arc<Shared>,
    generation: u64,
    /// The time at which the call began, if it is a probe.
    probe: Option<Timestamp>,
}

/// The effect of a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// Whether it has closed the breaker.
    pub(crate) closed: bool,
    /// The generation to state when the body [ends](Breaker::body_ended).
    pub(crate) generation: u64,
}

struct BreakerState {
    /// Incremented by every change between open and closed, and by every failed probe.
    generation: u64,
    /// `None`: closed.
    opened: Option<Opened>,
    /// Number of times that it opened in a row.
    times: u32,
    /// Number of failures in a row.
    consecutive: u32,
    /// Number of bodies in a row that failed after they were handed over.
    bodies: u32,
    recent: Ring,
}

#[derive(Clone, Copy)]
struct Opened {
    until: Timestamp,
    probing: bool,
}

// === impl Breaker ===

impl Breaker {
    /// Creates a closed breaker.
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self(Arc::new(Shared { policy, state: Mutex::new(BreakerState::new()) }))
    }

    /// Admits a call, as the single probe if the open time has just ended. The time matters only if the breaker is
    /// open.
    pub(crate) fn enter(&self, now: impl Into<Timestamp>) -> Result<BreakerPermit, BreakerOpen> {
        let mut state = self.0.state();
        let (generation, mut probe) = (state.generation, None);
        if let Some(opened) = &mut state.opened {
            let now = now.into();
            opened.refuses(now)?;
            opened.probing = true;
            probe = Some(now);
        }
        drop(state);
        Ok(BreakerPermit { breaker: Arc::clone(&self.0), generation, probe })
    }

    /// Records the end of the body of a response that was handed over. Returns the open time if that opened the
    /// breaker.
    pub(crate) fn body_ended(&self, generation: u64, failed: bool, now: Timestamp) -> Option<Duration> {
        let permit = BreakerPermit { breaker: Arc::clone(&self.0), generation, probe: None };
        if failed {
            permit.body_failed(now)
        } else {
            permit.body_came();
            None
        }
    }

    /// Returns whether [`enter`](Self::enter) would admit a call, without taking a probe.
    #[cfg(test)]
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), BreakerOpen> {
        self.0.state().opened.map_or(Ok(()), |opened| opened.refuses(now))
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.0.state().opened;
        f.debug_struct("Breaker")
            .field("open_until", &opened.map(|opened| opened.until))
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn refuses(self, now: Timestamp) -> Result<(), BreakerOpen> {
        if self.until > now {
            return Err(BreakerOpen { retry_after: Some(self.until.saturating_since(now)) });
        }
        if self.probing { Err(BreakerOpen { retry_after: None }) } else { Ok(()) }
    }
}

// === impl BreakerPermit ===

impl BreakerPermit {
    /// Returns whether this call is the probe that finds out if the provider is back.
    pub(crate) const fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// Hands the probe back, so that another call can be it. This call continues as an ordinary one.
    pub(crate) fn give_probe_back(&mut self) {
        if self.probe.take().is_some()
            && let Some(mut state) = self.current()
            && let Some(opened) = &mut state.opened
        {
            opened.probing = false;
        }
    }

    /// Records a success. Returns whether that closed the breaker.
    #[cfg(test)]
    pub(crate) fn succeeded(self, now: Timestamp) -> bool {
        self.committed(now).closed
    }

    /// Records a success up to the commit. The end of the body is reported to [`Breaker::body_ended`].
    pub(crate) fn committed(mut self, now: Timestamp) -> Committed {
        let probe = self.probe.take().is_some();
        let Some(mut state) = self.current() else {
            return Committed { closed: false, generation: self.generation };
        };
        if probe {
            let BreakerState { generation, bodies, times, .. } = *state;
            // If bodies failed before, the provider has not recovered until one body comes to its end.
            let times = if bodies > 0 { times } else { 0 };
            *state = BreakerState { generation: generation + 1, bodies, times, ..BreakerState::new() };
        } else {
            state.consecutive = 0;
            state.recent.count(self.breaker.policy.bucket(now, BUCKETS), false);
        }
        Committed { closed: probe, generation: state.generation }
    }

    fn body_came(self) {
        if let Some(mut state) = self.current() {
            state.bodies = 0;
            if state.opened.is_none() {
                state.times = 0;
            }
        }
    }

    fn body_failed(self, now: Timestamp) -> Option<Duration> {
        let policy = self.breaker.policy;
        let mut state = self.current().filter(|_| policy.is_enabled())?;
        state.bodies = state.bodies.saturating_add(1);
        let bucket = policy.bucket(now, BUCKETS);
        state.recent.turn_into_failure(bucket);
        let trips = state.opened.is_none() && policy.trips(state.bodies, state.recent.sum(bucket));
        trips.then(|| state.open(&policy, Duration::ZERO, now))
    }

    /// Records a fault of the provider. Returns the open time if that opened the breaker or keeps it open.
    pub(crate) fn failed(mut self, now: Timestamp) -> Option<Duration> {
        let probe = self.probe.take();
        let policy = self.breaker.policy;
        let mut state = self.current().filter(|_| policy.is_enabled())?;
        state.consecutive = state.consecutive.saturating_add(1);
        let bucket = policy.bucket(now, BUCKETS);
        state.recent.count(bucket, true);
        if probe.is_none() && !policy.trips(state.consecutive, state.recent.sum(bucket)) {
            return None;
        }
        // A probe that takes long must not be repeated too often.
        let took = probe.map_or(Duration::ZERO, |began| now.saturating_since(began));
        Some(state.open(&policy, took, now))
    }

    /// Returns the state, unless it has changed since this permit was given out.
    fn current(&self) -> Option<MutexGuard<'_, BreakerState>> {
        Some(self.breaker.state()).filter(|state| state.generation == self.generation)
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        self.give_probe_back();
    }
}

impl fmt::Debug for BreakerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { breaker: _, generation, probe } = self;
        f.debug_struct("BreakerPermit")
            .field("generation", generation)
            .field("probe", probe)
            .finish_non_exhaustive()
    }
}

// === impl BreakerState ===

impl BreakerState {
    fn new() -> Self {
        Self { generation: 0, opened: None, times: 0, consecutive: 0, bodies: 0, recent: Ring::default() }
    }

    /// Opens, or stays open, for `at_least` or longer. Returns the open time.
    fn open(&mut self, policy: &BreakerPolicy, at_least: Duration, now: Timestamp) -> Duration {
        let wait = policy.open_time(self.times).max(at_least);
        self.opened = Some(Opened { until: now.saturating_add(wait), probing: false });
        self.times = self.times.saturating_add(1);
        self.generation += 1;
        wait
    }
}

#[cfg(test)]
mod tests;
