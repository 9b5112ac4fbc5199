//! The part of a pool that hears of the secrets of a source.

use std::time::Duration;

use crate::key::source::credential::SecretUnavailable;

/// The part of a pool that hears of the secrets of a source.
pub(crate) trait SourceListener: Send + Sync {
    /// A new secret was fetched, which expires after this time.
    fn renewed(&self, lifetime: Option<Duration>);
    /// No new secret could be fetched. `valid_for` is the rest of the lifetime of the present one; `None` without a
    /// valid one.
    fn failed(&self, error: &SecretUnavailable, valid_for: Option<Duration>);
    /// Returns whether the key is gone.
    fn is_gone(&self) -> bool;
    /// Returns the number of the key's state, so that no key listens twice.
    fn number(&self) -> usize;
}
