//! What has failed before.

use std::time::Duration;

use tower::BoxError;

use crate::classify::{Fault, Reason};
use crate::clock::Timestamp;
use crate::error::{Attempt, StopReason};
use crate::exchange::inspect::UpstreamResponse;
use crate::exchange::keys_tried::KeysTried;
use crate::key::KeyId;
use crate::pool::ProvisionalCooldown;
use crate::rotate::state::refusal::{Refusal, RefusalKind};

/// What has failed before, for a request that was not served at once.
pub(in crate::rotate) struct FailedAttempts<B> {
    pub(in crate::rotate) tried: KeysTried,
    pub(in crate::rotate) attempts: Vec<Attempt>,
    pub(in crate::rotate) retries: usize,
    /// The next attempt repeats one that failed for the provider's fault.
    pub(in crate::rotate) retrying: bool,
    /// The key that was tried last is usable still.
    pub(in crate::rotate) is_repeat: bool,
    refusals: Vec<Refusal>,
    pub(in crate::rotate) last: Option<Result<UpstreamResponse<B>, BoxError>>,
}

// === impl FailedAttempts ===

impl<B> FailedAttempts<B> {
    /// The keys that the request tried when a chain asked this pool before: one of them serves if no other key is
    /// usable.
    pub(in crate::rotate) fn again(tried: KeysTried) -> Self {
        Self { tried, retrying: true, is_repeat: true, ..Self::default() }
    }

    /// An attempt has failed.
    pub(in crate::rotate) fn add(&mut self, attempt: Attempt) {
        if let Some(key) = &attempt.key {
            self.tried.add(key.clone());
        }
        self.attempts.push(attempt);
    }

    /// The latest attempt was refused for what may be the key's or the request's fault.
    pub(in crate::rotate) fn add_refusal(
        &mut self,
        kind: RefusalKind,
        proven: bool,
        provisional: Option<ProvisionalCooldown>,
    ) {
        let Some(attempt) = self.attempts.len().checked_sub(1) else { return };
        // An account that has refused the request is not asked again with another of its keys.
        self.tried.refuse(provisional.iter().flat_map(ProvisionalCooldown::keys));
        self.tried.refuse(self.attempts[attempt].key.clone().into_iter());
        self.refusals.push(Refusal { kind, proven, provisional, attempt });
    }

    /// Whether another key in good standing was refused in the same way.
    pub(in crate::rotate) fn has_proven(&self, kind: RefusalKind) -> bool {
        self.refusals.iter().any(|refusal| refusal.proven && refusal.kind == kind)
    }

    /// How many keys were refused in this way.
    pub(in crate::rotate) fn count(&self, kind: RefusalKind) -> usize {
        self.refusals.iter().filter(|refusal| refusal.kind == kind).count()
    }

    /// Another key has served the request.
    pub(in crate::rotate) fn confirm(&mut self, now: Timestamp) {
        self.settle(|_, provisional| provisional.confirm(now));
    }

    /// Another key was accepted, and the request itself was judged. A missing permission may still be the
    /// request's own.
    pub(in crate::rotate) fn confirm_keys(&mut self, now: Timestamp) {
        self.settle(|kind, provisional| match kind.reason() {
            Reason::Forbidden => provisional.leave_unconfirmed(),
            _ => provisional.confirm(now),
        });
    }

    /// The keys that were refused are not to blame.
    pub(in crate::rotate) fn undo(&mut self, now: Timestamp) {
        self.settle(|_, provisional| {
            provisional.undo(now);
            None
        });
    }

    /// No key has served the request. Where a key in good standing was refused alike, the request is to blame.
    pub(in crate::rotate) fn leave_unconfirmed(&mut self, now: Timestamp) {
        let proven: Vec<_> =
            self.refusals.iter().filter(|refusal| refusal.proven).map(|refusal| refusal.kind).collect();
        self.settle(|kind, provisional| {
            if proven.contains(&kind) {
                provisional.undo(now);
                return None;
            }
            provisional.leave_unconfirmed()
        });
    }

    /// Whether the last refusal concerns what was asked for, and no key: it is of one resource, or two keys were
    /// forbidden it alike, for no reason that lies in their accounts.
    pub(in crate::rotate) fn is_the_requests_own(&self, stop_reason: StopReason) -> bool {
        let Some(Attempt { fault, status, .. }) = self.attempts.last() else { return false };
        let alike = RefusalKind::of(fault, *status).map_or(0, |refused| self.count(refused));
        match stop_reason {
            StopReason::Exhausted | StopReason::AttemptLimit | StopReason::NotReplayable => {
                let is_forbidden = fault.reason() == Reason::Forbidden && !fault.names_account();
                is_forbidden && (fault.is_of_resource() || alike > 1)
            }
            StopReason::Deadline
            | StopReason::ProviderFault
            | StopReason::RefusedAlike
            | StopReason::UnreadableModel => false,
        }
    }

    /// Takes the last attempt and its response. No key has served the request.
    pub(in crate::rotate) fn take_refusal(&mut self) -> Option<(KeyId, Fault, UpstreamResponse<B>)> {
        self.leave_unconfirmed(Timestamp::now());
        let is_error = |answer: &UpstreamResponse<B>| !answer.head.status.is_success();
        let answer = self.last.take_if(|last| last.as_ref().is_ok_and(is_error))?.ok()?;
        let Attempt { key, fault, .. } = self.attempts.pop()?;
        Some((key?, fault, answer))
    }

    /// Settles all doubts, each with how long the key is out for it in the end.
    fn settle(&mut self, mut settle: impl FnMut(RefusalKind, ProvisionalCooldown) -> Option<Duration>) {
        for Refusal { kind, provisional, attempt, .. } in self.refusals.drain(..) {
            let Some(provisional) = provisional else { continue };
            let benched = settle(kind, provisional);
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.benched = benched;
            }
        }
    }
}

impl<B> Default for FailedAttempts<B> {
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
