//! The failed attempts of a request.

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

/// The failed attempts of a request that was not served at once.
pub(in crate::rotate) struct FailedAttempts<B> {
    pub(in crate::rotate) tried: KeysTried,
    pub(in crate::rotate) attempts: Vec<Attempt>,
    pub(in crate::rotate) retries: usize,
    /// Whether the next attempt is a retry after a fault of the provider.
    pub(in crate::rotate) retrying: bool,
    /// Whether the key that was tried last is still usable.
    pub(in crate::rotate) is_repeat: bool,
    refusals: Vec<Refusal>,
    pub(in crate::rotate) last: Option<Result<UpstreamResponse<B>, BoxError>>,
    /// A response that does not tell whether the request or the account is at fault, and the index of its attempt.
    unclear: Option<(usize, UpstreamResponse<B>)>,
}

// === impl FailedAttempts ===

impl<B> FailedAttempts<B> {
    /// Creates the state of a request that a chain sends to this pool again, with the keys that it tried before. One of
    /// them serves if no other key is usable.
    pub(in crate::rotate) fn again(tried: KeysTried) -> Self {
        Self { tried, retrying: true, is_repeat: true, ..Self::default() }
    }

    /// Adds a failed attempt.
    pub(in crate::rotate) fn add(&mut self, attempt: Attempt) {
        if let Some(key) = &attempt.key {
            self.tried.add(key.clone());
        }
        self.attempts.push(attempt);
    }

    /// Adds the refusal that ended the latest attempt. It may be the fault of the key or of the request.
    pub(in crate::rotate) fn add_refusal(
        &mut self,
        kind: RefusalKind,
        proven: bool,
        provisional: Option<ProvisionalCooldown>,
    ) {
        let Some(attempt) = self.attempts.len().checked_sub(1) else { return };
        // Other keys of an account that refused the request are not used for it.
        self.tried.refuse(provisional.iter().flat_map(ProvisionalCooldown::keys));
        self.tried.refuse(self.attempts[attempt].key.clone().into_iter());
        self.refusals.push(Refusal { kind, proven, provisional, attempt });
    }

    /// Returns whether another key in good standing was refused in the same way.
    pub(in crate::rotate) fn has_proven(&self, kind: RefusalKind) -> bool {
        self.refusals.iter().any(|refusal| refusal.proven && refusal.kind == kind)
    }

    /// Returns the number of keys that were refused in this way.
    pub(in crate::rotate) fn count(&self, kind: RefusalKind) -> usize {
        self.refusals.iter().filter(|refusal| refusal.kind == kind).count()
    }

    /// Confirms all cooldowns in doubt: another key has served the request.
    pub(in crate::rotate) fn confirm(&mut self, now: Timestamp) {
        self.settle(|_, provisional| provisional.confirm(now));
    }

    /// Confirms the cooldowns in doubt, except those of missing permissions: another key was accepted, and the response
    /// concerns the request itself, which may also have caused the missing permission.
    pub(in crate::rotate) fn confirm_keys(&mut self, now: Timestamp) {
        self.settle(|kind, provisional| match kind.reason() {
            Reason::Forbidden => provisional.leave_unconfirmed(),
            _ => provisional.confirm(now),
        });
    }

    /// Keeps the response of the latest attempt, which does not tell whether the request or the account is at fault.
    pub(in crate::rotate) fn keep_unclear(&mut self, response: UpstreamResponse<B>) {
        self.unclear = self.attempts.len().checked_sub(1).map(|attempt| (attempt, response));
    }

    /// Takes the unclear response and its key, if there is one. Called if no key has served the request.
    pub(in crate::rotate) fn take_unclear(&mut self) -> Option<(KeyId, UpstreamResponse<B>)> {
        let (attempt, response) = self.unclear.take()?;
        self.settle_unclear(Timestamp::now());
        let key = (attempt < self.attempts.len()).then(|| self.attempts.remove(attempt).key);
        Some((key??, response))
    }

    /// Undoes the cooldowns of missing permissions, and confirms the others: the final response does not tell whether
    /// the request or the account is at fault, but its key was accepted.
    pub(in crate::rotate) fn settle_unclear(&mut self, now: Timestamp) {
        self.settle(|kind, provisional| match kind.reason() {
            Reason::Forbidden => {
                provisional.undo(now);
                None
            }
            _ => provisional.confirm(now),
        });
    }

    /// Undoes all cooldowns in doubt: the refused keys are not at fault.
    pub(in crate::rotate) fn undo(&mut self, now: Timestamp) {
        self.settle(|_, provisional| {
            provisional.undo(now);
            None
        });
    }

    /// Leaves the cooldowns in doubt: no key has served the request. If a key in good standing was refused alike, the
    /// request is at fault, and the cooldowns of that kind are undone.
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

    /// Returns whether the last refusal concerns the request and no key: it is of one resource, or two keys were
    /// forbidden alike, for no reason that lies in their accounts.
    /// `may_serve` tells whether another key may serve the request later.
    pub(in crate::rotate) fn is_the_requests_own(
        &self,
        stop_reason: StopReason,
        may_serve: impl FnOnce() -> bool,
    ) -> bool {
        let Some(Attempt { fault, status, .. }) = self.attempts.last() else { return false };
        let alike = RefusalKind::of(fault, *status).map_or(0, |refused| self.count(refused));
        match stop_reason {
            StopReason::Exhausted | StopReason::AttemptLimit | StopReason::NotReplayable => {
                let is_forbidden = fault.reason() == Reason::Forbidden && !fault.account_reason();
                match fault.is_not_here() {
                    true => !may_serve(),
                    false => is_forbidden && (fault.one_resource() || alike > 1),
                }
            }
            StopReason::Deadline
            | StopReason::NoKeyMayServe
            | StopReason::ProviderFault
            | StopReason::RefusedAlike
            | StopReason::UnreadableModel => false,
        }
    }

    /// Takes the last attempt and its response, if that has an error status. Called if no key has served the request.
    pub(in crate::rotate) fn take_refusal(&mut self) -> Option<(KeyId, Fault, UpstreamResponse<B>)> {
        self.leave_unconfirmed(Timestamp::now());
        let is_error = |response: &UpstreamResponse<B>| !response.head.status.is_success();
        let response = self.last.take_if(|last| last.as_ref().is_ok_and(is_error))?.ok()?;
        let Attempt { key, fault, .. } = self.attempts.pop()?;
        Some((key?, fault, response))
    }

    /// Settles all cooldowns in doubt. `settle` returns how long the key finally stays in cooldown.
    fn settle(&mut self, mut settle: impl FnMut(RefusalKind, ProvisionalCooldown) -> Option<Duration>) {
        for Refusal { kind, provisional, attempt, .. } in self.refusals.drain(..) {
            let Some(provisional) = provisional else { continue };
            let cooldown = settle(kind, provisional);
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.cooldown = cooldown;
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
            unclear: None,
        }
    }
}
