//! What has failed before.

use http::StatusCode;
use tower::BoxError;

use crate::classify::Scope;
use crate::clock::Timestamp;
use crate::inspect::Answer;
use crate::key::KeyId;
use crate::pool::Penalty;
use crate::rotate::ledger::Attempt;

/// What has failed before, for a request that was not served at once.
pub(super) struct Past<B> {
    pub(super) tried: Vec<KeyId>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) retries: usize,
    /// The next attempt repeats one that failed for the provider's fault.
    pub(super) retrying: bool,
    /// How keys were refused that were not allowed to, and their penalties.
    refused: Vec<(Refused, Penalty)>,
    pub(super) last: Option<Result<Answer<B>, BoxError>>,
}

/// Refusals are alike that have the same status and concern as much.
pub(super) type Refused = (Option<StatusCode>, Scope);

// === impl Past ===

impl<B> Past<B> {
    /// An attempt has failed.
    pub(super) fn add(&mut self, attempt: Attempt) {
        self.tried.push(attempt.key.clone());
        self.attempts.push(attempt);
    }

    /// A key was refused that was not allowed to.
    pub(super) fn add_refused(&mut self, refused: Refused, penalty: Penalty) {
        self.refused.push((refused, penalty));
    }

    /// Whether another key was refused in the same way.
    pub(super) fn has_refused(&self, refused: Refused) -> bool {
        self.refused.iter().any(|(before, _)| *before == refused)
    }

    /// The keys that were refused are not to blame.
    pub(super) fn absolve(&mut self, now: Timestamp) {
        self.refused.drain(..).for_each(|(_, penalty)| penalty.undo_at(now));
    }
}

impl<B> Default for Past<B> {
    fn default() -> Self {
        Self {
            tried: Vec::new(),
            attempts: Vec::new(),
            retries: 0,
            retrying: false,
            refused: Vec::new(),
            last: None,
        }
    }
}
