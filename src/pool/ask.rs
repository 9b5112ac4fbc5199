//! What a request asks of a pool.

use super::Session;
use crate::key::KeyId;
use crate::limits::{Estimate, Need};
use crate::provider::ModelId;

/// What a request asks of a pool: a key for which model, and as part of which session.
///
/// ```
/// use tower_key_rotation::pool::Ask;
/// use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let model = ModelId::from("gpt-4o");
/// let lease = pool.acquire_for(&Ask::new().model(&model))?;
/// assert_eq!(lease.key_id().as_str(), "one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "ask a pool with `KeyPool::acquire_for`"]
pub struct Ask<'a> {
    pub(crate) model: Option<&'a ModelId>,
    pub(crate) session: Option<Session>,
    /// The keys that will not do, for the request has tried them.
    pub(crate) tried: &'a [KeyId],
    /// A key failed the request and is usable still: the request has had its turn.
    pub(crate) is_repeat: bool,
    /// What it takes of the limits.
    pub(crate) need: Need,
}

// === impl Ask ===

impl<'a> Ask<'a> {
    /// Any key, for a model that is not known.
    pub const fn new() -> Self {
        Self { model: None, session: None, tried: &[], is_repeat: false, need: Need::REQUEST }
    }

    /// A key that is usable for this model. Default: the model is not known, and its limits do not count.
    pub const fn model(mut self, model: &'a ModelId) -> Self {
        self.model = Some(model);
        self
    }

    /// A key that has so many tokens left, where tokens are limited. Default: none are counted before the answer.
    pub const fn tokens(mut self, estimate: Estimate) -> Self {
        self.need = Need::with_tokens(estimate);
        self
    }

    /// The session's key, as long as that is usable. Default: the request belongs to none.
    pub const fn session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Whether a key may be used, as far as the request is concerned.
    pub(super) fn allows(&self, key: &KeyId) -> bool {
        self.tried.is_empty() || !self.tried.contains(key)
    }
}

impl<'a> From<Option<&'a ModelId>> for Ask<'a> {
    fn from(model: Option<&'a ModelId>) -> Self {
        Self { model, ..Self::new() }
    }
}
