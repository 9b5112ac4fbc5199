//! What has failed before.

use std::time::Duration;

use tower::BoxError;

use crate::classify::Reason;
use crate::clock::Timestamp;
use crate::inspect::Answer;
use crate::pool::Doubt;
use crate::rotate::journey::refusal::{Kind, Refusal};
use crate::rotate::keys_tried::KeysTried;
use crate::rotate::ledger::Attempt;

/// What has failed before, for a request that was not served at once.
pub(super) struct Past<B> {
    pub(super) tried: KeysTried,
    pub(super) attempts: Vec<Attempt>,
    pub(super) retries: usize,
    /// The next attempt repeats one that failed for the provider's fault.
    pub(super) retrying: bool,
    /// The key that was tried last is usable still.
    pub(super) is_repeat: bool,
    refusals: Vec<Refusal>,
    pub(super) last: Option<Result<Answer<B>, BoxError>>,
}

// === impl Past ===

impl<B> Past<B> {
    /// The keys that the request tried when a chain asked this pool before: one of them serves if no other key is
    /// usable.
    pub(super) fn again(tried: KeysTried) -> Self {
        Self { tried, retrying: true, is_repeat: true, ..Self::default() }
    }

    /// An attempt has failed.
    pub(super) fn add(&mut self, attempt: Attempt) {
        if let Some(key) = &attempt.key {
            self.tried.add(key.clone());
        }
        self.attempts.push(attempt);
    }

    /// The latest attempt was refused for what may be the key's or the request's fault.
    pub(super) fn add_refusal(&mut self, kind: Kind, proven: bool, doubt: Option<Doubt>) {
        let Some(attempt) = self.attempts.len().checked_sub(1) else { return };
        // An account that has refused the request is not asked again with another of its keys.
        self.tried.refuse(doubt.iter().flat_map(Doubt::keys));
        self.tried.refuse(self.attempts[attempt].key.clone().into_iter());
        self.refusals.push(Refusal { kind, proven, doubt, attempt });
    }

    /// Whether another key in good standing was refused in the same way.
    pub(super) fn has_proven(&self, kind: Kind) -> bool {
        self.refusals.iter().any(|refusal| refusal.proven && refusal.kind == kind)
    }

    /// How many keys were refused in this way.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.refusals.iter().filter(|refusal| refusal.kind == kind).count()
    }

    /// Another key has served the request.
    pub(super) fn confirm(&mut self, now: Timestamp) {
        self.settle(|_, doubt| doubt.confirm(now));
    }

    /// Another key was accepted, and the request itself was judged. A missing permission may still be the
    /// request's own.
    pub(super) fn confirm_keys(&mut self, now: Timestamp) {
        self.settle(|kind, doubt| match kind.reason() {
            Reason::Forbidden => doubt.leave_unconfirmed(),
            _ => doubt.confirm(now),
        });
    }

    /// The keys that were refused are not to blame.
    pub(super) fn absolve(&mut self, now: Timestamp) {
        self.settle(|_, doubt| {
            doubt.absolve(now);
            None
        });
    }

    /// No key has served the request. Where a key in good standing was refused alike, the request is to blame.
    pub(super) fn leave_unconfirmed(&mut self, now: Timestamp) {
        let proven: Vec<_> =
            self.refusals.iter().filter(|refusal| refusal.proven).map(|refusal| refusal.kind).collect();
        self.settle(|kind, doubt| {
            if proven.contains(&kind) {
                doubt.absolve(now);
                return None;
            }
            doubt.leave_unconfirmed()
        });
    }

    /// Settles all doubts, each with how long the key is out for it in the end.
    fn settle(&mut self, mut settle: impl FnMut(Kind, Doubt) -> Option<Duration>) {
        for Refusal { kind, doubt, attempt, .. } in self.refusals.drain(..) {
            let Some(doubt) = doubt else { continue };
            let benched = settle(kind, doubt);
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.benched = benched;
            }
        }
    }
}

impl<B> Default for Past<B> {
    fn default() -> Self {
        Self {
            tried: KeysTried::default(),
            attempts: Vec::new(),
            retries: 0,
            retrying: false,
            is_repeat: false,
            refusals: Vec::new(),
            last: None,
        }
    }
}
