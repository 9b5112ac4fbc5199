//! The context that a chain of providers passes to the layers inside it.
//!
//! Retries multiply when every layer has its own. So a chain hands each of its links a [`ChainContext`] in the
//! request's extensions. Attempts are counted over all links, and one is reserved for each link that has not had
//! its turn, so that a link with many bad keys does not use up the attempts of a good one. A link does not repeat
//! a request that the chain would rather send elsewhere, and the timeouts are the chain's. A rotation layer that
//! finds a context *joins* it: it applies the timeouts itself, anew for each attempt, since only the rotation
//! layer knows when an attempt begins. For a link that does not join, the chain applies the timeouts from
//! outside.
//!
//! The context also holds the keys that the request has tried, by pool: a link that gets a second turn continues
//! with another key.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::exchange::inspect::Limits;
use crate::exchange::keys_tried::KeysTried;
use crate::exchange::time_limits::TimeLimits;
use crate::pool::PoolId;

/// A request extension by which a chain passes its budget and its timeouts to its links.
#[derive(Clone, Debug)]
pub(crate) struct ChainContext(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    /// Attempts that are left for the whole request.
    attempts: AtomicUsize,
    /// Number of these that are reserved for links that have not had their turn. Less than `attempts` when a turn
    /// begins.
    kept: AtomicUsize,
    /// Whether a rotation layer of the link has joined the context.
    joined: AtomicBool,
    /// Whether a call of the link is under way, or was made.
    called: AtomicBool,
    /// Time that the link may wait for a key before its first attempt in this turn, in microseconds. Zero: it may
    /// not wait.
    longest_wait: AtomicU64,
    /// The keys that were tried, by pool. The lock is held briefly, never across an await.
    tried: Mutex<Vec<(PoolId, KeysTried)>>,
    /// The time limits for all models, followed by those for some.
    times: Arc<[TimeLimits]>,
    /// The number of the time limits that apply to the present link.
    chosen: AtomicUsize,
    /// Whether event streams are inspected before the commit.
    look_into_streams: bool,
    /// Whether a failing stream reports its error in a last event.
    error_events: bool,
}

impl ChainContext {
    pub(crate) fn new(
        attempts: usize,
        times: Arc<[TimeLimits]>,
        look_into_streams: bool,
        error_events: bool,
    ) -> Self {
        Self(Arc::new(Budget {
            attempts: AtomicUsize::new(attempts),
            kept: AtomicUsize::new(0),
            joined: AtomicBool::new(false),
            called: AtomicBool::new(false),
            longest_wait: AtomicU64::new(0),
            tried: Mutex::default(),
            times,
            chosen: AtomicUsize::new(0),
            look_into_streams,
            error_events,
        }))
    }

    /// Takes one of the attempts that are left for the link. Returns whether one was left.
    pub(crate) fn take_attempt(&self) -> bool {
        let kept = self.0.kept.load(Ordering::Relaxed);
        let take = |left: usize| left.checked_sub(1).filter(|rest| *rest >= kept);
        let is_taken = self.0.attempts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        self.0.called.store(is_taken, Ordering::Relaxed);
        is_taken
    }

    /// Returns the number of attempts that are left for all links.
    pub(crate) fn attempts(&self) -> usize {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// Begins the turn of the next link. `ahead` is the number of links that have not had their turn.
    pub(crate) fn begin_link(&self, longest_wait: Duration, ahead: usize) {
        let others = self.attempts().saturating_sub(1);
        let longest_wait = u64::try_from(longest_wait.as_micros()).unwrap_or(u64::MAX);
        self.0.kept.store(ahead.min(others), Ordering::Relaxed);
        self.0.joined.store(false, Ordering::Relaxed);
        self.0.called.store(false, Ordering::Relaxed);
        self.0.longest_wait.store(longest_wait, Ordering::Relaxed);
    }

    /// Records that a rotation layer of the link applies the timeouts and counts the attempts itself.
    pub(crate) fn join(&self) {
        self.0.joined.store(true, Ordering::Relaxed);
        self.0.called.store(false, Ordering::Relaxed);
    }

    /// Records that the link is called. A link that joins the context records its own calls.
    pub(crate) fn call(&self) {
        self.0.called.store(true, Ordering::Relaxed);
    }

    /// Returns whether the link may have sent the request.
    pub(crate) fn was_called(&self) -> bool {
        self.0.called.load(Ordering::Relaxed)
    }

    pub(crate) fn is_joined(&self) -> bool {
        self.0.joined.load(Ordering::Relaxed)
    }

    /// Returns the time that the link may wait for a key, if it may wait. `first`: it has made no attempt in this
    /// turn.
    pub(crate) fn longest_wait(&self, first: bool) -> Option<Duration> {
        let longest = self.0.longest_wait.load(Ordering::Relaxed);
        (first && longest > 0).then(|| Duration::from_micros(longest))
    }

    /// Returns the keys of a pool that the request has tried.
    pub(crate) fn tried_at(&self, pool: PoolId) -> KeysTried {
        let tried = self.tried();
        tried.iter().find(|(at, _)| *at == pool).map_or_else(KeysTried::default, |(_, keys)| keys.clone())
    }

    /// Stores the keys of a pool that the request has tried.
    pub(crate) fn remember(&self, pool: PoolId, keys: &KeysTried) {
        let mut tried = self.tried();
        match tried.iter_mut().find(|(at, _)| *at == pool) {
            Some((_, before)) => before.clone_from(keys),
            None => tried.push((pool, keys.clone())),
        }
    }

    fn tried(&self) -> MutexGuard<'_, Vec<(PoolId, KeysTried)>> {
        self.0.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses the time limits of the present link. Zero: those for all models.
    pub(crate) fn choose_times(&self, number: usize) {
        self.0.chosen.store(number.min(self.0.times.len() - 1), Ordering::Relaxed);
    }

    fn times(&self) -> &TimeLimits {
        &self.0.times[self.0.chosen.load(Ordering::Relaxed)]
    }

    /// Returns the time limit for the head of a response.
    pub(crate) fn head_timeout(&self) -> Option<Duration> {
        self.times().head
    }

    /// Returns the idle timeout of response bodies. A layer that joins the context guards the bodies it delivers.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.times().idle
    }

    /// Returns whether a stream that fails after its commit also reports the error in a last event.
    pub(crate) fn error_events(&self) -> bool {
        self.0.error_events
    }

    /// Returns the limits for inspecting a response.
    pub(crate) fn limits(&self) -> &Limits {
        &self.times().inspect
    }

    /// Returns whether event streams are inspected before the commit.
    pub(crate) fn looks_into_streams(&self) -> bool {
        self.0.look_into_streams
    }
}
