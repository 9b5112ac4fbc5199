//! What a chain of providers allows the layers inside it.
//!
//! Retries multiply when every layer has its own. So a chain hands each of its links a [`ChainContext`] in the
//! request's extensions: attempts are counted over all links, and one is kept back for each link that has not
//! had its turn, so that a link with many bad keys does not use up what a good one would need. A link does not
//! repeat what the chain would rather send elsewhere, and the limits of silence are the chain's. A rotation layer
//! that finds a ticket *adopts* it: it watches the limits itself, for each attempt anew, since only it knows when
//! one begins. For a link that adopts nothing the chain watches from outside.
//!
//! The keys that the request has tried are kept here too, for each pool: a link that is asked again goes on with
//! another key.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::exchange::inspect::Limits;
use crate::exchange::keys_tried::KeysTried;
use crate::pool::PoolId;

/// A request extension, from a chain to its links.
#[derive(Clone, Debug)]
pub(crate) struct ChainContext(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    /// Attempts that the whole request may still make.
    attempts: AtomicUsize,
    /// Of these, how many are not for the link whose turn it is; fewer than there are when the turn begins.
    kept: AtomicUsize,
    /// A link has taken over the watch.
    joined: AtomicBool,
    /// A call of the link is under way, or was made.
    called: AtomicBool,
    /// How long the link may wait for a key, in microseconds; zero: not at all; the largest number: up to the
    /// deadline, as often as that allows.
    longest_wait: AtomicU64,
    /// The keys that were tried, by pool. Locked for a look at a time, never across an await.
    tried: Mutex<Vec<(PoolId, KeysTried)>>,
    head_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    limits: Limits,
    /// Failing streams say so in a last event.
    error_events: bool,
}

impl ChainContext {
    pub(crate) fn new(
        attempts: usize,
        head_timeout: Option<Duration>,
        idle_timeout: Option<Duration>,
        limits: Limits,
        error_events: bool,
    ) -> Self {
        Self(Arc::new(Budget {
            attempts: AtomicUsize::new(attempts),
            kept: AtomicUsize::new(0),
            joined: AtomicBool::new(false),
            called: AtomicBool::new(false),
            longest_wait: AtomicU64::new(0),
            tried: Mutex::default(),
            head_timeout,
            idle_timeout,
            limits,
            error_events,
        }))
    }

    /// Takes one of the attempts that the link has left; says whether there was one.
    pub(crate) fn take_attempt(&self) -> bool {
        let kept = self.0.kept.load(Ordering::Relaxed);
        let take = |left: usize| left.checked_sub(1).filter(|rest| *rest >= kept);
        let is_taken = self.0.attempts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        self.0.called.store(is_taken, Ordering::Relaxed);
        is_taken
    }

    /// The attempts that are left for all links.
    pub(crate) fn attempts(&self) -> usize {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// Before the next link is called. `ahead`: the number of links that have not had their turn.
    pub(crate) fn begin_link(&self, longest_wait: Duration, ahead: usize) {
        let others = self.attempts().saturating_sub(1);
        let longest_wait = u64::try_from(longest_wait.as_micros()).unwrap_or(u64::MAX);
        self.0.kept.store(ahead.min(others), Ordering::Relaxed);
        self.0.joined.store(false, Ordering::Relaxed);
        self.0.called.store(false, Ordering::Relaxed);
        self.0.longest_wait.store(longest_wait, Ordering::Relaxed);
    }

    /// The link watches the limits and counts the attempts itself.
    pub(crate) fn join(&self) {
        self.0.joined.store(true, Ordering::Relaxed);
        self.0.called.store(false, Ordering::Relaxed);
    }

    /// The link is called. One that adopts the ticket says itself when it calls.
    pub(crate) fn call(&self) {
        self.0.called.store(true, Ordering::Relaxed);
    }

    /// Whether the link may have sent the request.
    pub(crate) fn was_called(&self) -> bool {
        self.0.called.load(Ordering::Relaxed)
    }

    pub(crate) fn is_joined(&self) -> bool {
        self.0.joined.load(Ordering::Relaxed)
    }

    /// How long the link may wait for a key, if it may; `first`: it has made no attempt in its turn.
    pub(crate) fn longest_wait(&self, first: bool) -> Option<Duration> {
        let longest = self.0.longest_wait.load(Ordering::Relaxed);
        (longest == u64::MAX || first && longest > 0).then(|| Duration::from_micros(longest))
    }

    /// The keys of a pool that the request has tried.
    pub(crate) fn tried_at(&self, pool: PoolId) -> KeysTried {
        let tried = self.tried();
        tried.iter().find(|(at, _)| *at == pool).map_or_else(KeysTried::default, |(_, keys)| keys.clone())
    }

    /// The request has tried these keys of a pool.
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

    /// How long the head of an answer may take.
    pub(crate) fn head_timeout(&self) -> Option<Duration> {
        self.0.head_timeout
    }

    /// How long an answer may say nothing. Whoever adopts the ticket guards the body that it delivers.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.0.idle_timeout
    }

    /// Whether a stream that fails after its commit also says so in a last event.
    pub(crate) fn error_events(&self) -> bool {
        self.0.error_events
    }

    /// How far to look into an answer.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }
}
