//! What a chain of providers allows the layers inside it.
//!
//! Retries multiply when every layer has its own. So a chain hands each of its links a [`Ticket`] in the
//! request's extensions: attempts are counted over all links, and one is kept back for each link that has not
//! had its turn, so that a link with many bad keys does not use up what a good one would need. A link does not
//! repeat what the chain would rather send elsewhere, and the limits of silence are the chain's. A rotation layer
//! that finds a ticket *adopts* it: it watches the limits itself, for each attempt anew, since only it knows when
//! one begins. For a link that adopts nothing the chain watches from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::inspect::Limits;

/// A request extension, from a chain to its links.
#[derive(Clone, Debug)]
pub(crate) struct Ticket(Arc<Terms>);

#[derive(Debug)]
struct Terms {
    /// Attempts that the whole request may still make.
    attempts: AtomicUsize,
    /// Of these, how many are not for the link whose turn it is; fewer than there are when the turn begins.
    kept: AtomicUsize,
    /// A link has taken over the watch.
    adopted: AtomicBool,
    /// A call of the link is under way, or was made.
    called: AtomicBool,
    /// The link may wait for a key, as no other link is usable.
    may_wait: AtomicBool,
    head_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    limits: Limits,
    /// Failing streams say so in a last event.
    error_events: bool,
}

impl Ticket {
    pub(crate) fn new(
        attempts: usize,
        head_timeout: Option<Duration>,
        idle_timeout: Option<Duration>,
        limits: Limits,
        error_events: bool,
    ) -> Self {
        Self(Arc::new(Terms {
            attempts: AtomicUsize::new(attempts),
            kept: AtomicUsize::new(0),
            adopted: AtomicBool::new(false),
            called: AtomicBool::new(false),
            may_wait: AtomicBool::new(false),
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

    /// Whether attempts are left, for whichever link.
    pub(crate) fn has_attempts(&self) -> bool {
        self.0.attempts.load(Ordering::Relaxed) > 0
    }

    /// Before the next link is called, behind which there are so many that have not had their turn.
    pub(crate) fn hand_to_next(&self, may_wait: bool, ahead: usize) {
        let others = self.0.attempts.load(Ordering::Relaxed).saturating_sub(1);
        self.0.kept.store(ahead.min(others), Ordering::Relaxed);
        self.0.adopted.store(false, Ordering::Relaxed);
        self.0.called.store(false, Ordering::Relaxed);
        self.0.may_wait.store(may_wait, Ordering::Relaxed);
    }

    /// The link watches the limits and counts the attempts itself.
    pub(crate) fn adopt(&self) {
        self.0.adopted.store(true, Ordering::Relaxed);
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

    pub(crate) fn is_adopted(&self) -> bool {
        self.0.adopted.load(Ordering::Relaxed)
    }

    pub(crate) fn may_wait(&self) -> bool {
        self.0.may_wait.load(Ordering::Relaxed)
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
