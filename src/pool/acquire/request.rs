//! The request for a lease.

use crate::key::KeyId;
use crate::limits::{Cost, Estimate};
use crate::pool::Session;
use crate::provider::ModelId;

/// The properties of a request that decide which key it gets: its model, session, and tokens.
///
/// Pass it to [`KeyPool::acquire`](crate::pool::KeyPool::acquire), which also takes `()` for a request of which
/// nothing is known, and a `&ModelId` for one of which only the model is known.
///
/// ```
/// use tower_key_rotation::pool::AcquireRequest;
/// use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let model = ModelId::from("gpt-4o");
/// let lease = pool.acquire(AcquireRequest::new().model(&model))?;
/// assert_eq!(lease.key_id().as_str(), "one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "pass it to `KeyPool::acquire`"]
pub struct AcquireRequest<'a> {
    pub(crate) model: Option<&'a ModelId>,
    pub(crate) session: Option<Session>,
    /// The keys that the request has tried, and may not use again.
    pub(crate) tried: &'a [KeyId],
    /// Whether a key that stays usable has failed the request, so that the request has had its turn in the
    /// round robin.
    pub(crate) is_repeat: bool,
    /// Whether an attempt of the request was refused, so that it has waited before.
    pub(crate) was_refused: bool,
    /// The cost of the request, counted against limits.
    pub(crate) cost: Cost,
}

// === impl AcquireRequest ===

impl<'a> AcquireRequest<'a> {
    /// Asks for any usable key, for a request with an unknown model, no session, and no token estimate.
    pub const fn new() -> Self {
        Self {
            model: None,
            session: None,
            tried: &[],
            is_repeat: false,
            was_refused: false,
            cost: Cost::REQUEST,
        }
    }

    /// Asks for a key that is usable for this model. Default: the model is unknown, and limits of single
    /// models do not count.
    pub const fn model(mut self, model: &'a ModelId) -> Self {
        self.model = Some(model);
        self
    }

    /// Asks for a key with room for this number of tokens, where tokens are limited. Default: no tokens are
    /// counted before the response reports them.
    pub const fn tokens(mut self, estimate: Estimate) -> Self {
        self.cost = Cost::with_tokens(estimate);
        self
    }

    /// Asks for the key of this session, as long as that key is usable. Default: no session.
    pub const fn session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Returns whether the request may use a key.
    pub(in crate::pool) fn allows(&self, key: &KeyId) -> bool {
        self.tried.is_empty() || !self.tried.contains(key)
    }
}

impl<'a> From<Option<&'a ModelId>> for AcquireRequest<'a> {
    fn from(model: Option<&'a ModelId>) -> Self {
        Self { model, ..Self::new() }
    }
}

impl From<()> for AcquireRequest<'_> {
    fn from((): ()) -> Self {
        Self::new()
    }
}

impl<'a> From<&'a ModelId> for AcquireRequest<'a> {
    fn from(model: &'a ModelId) -> Self {
        Self::new().model(model)
    }
}

impl<'a> From<&Self> for AcquireRequest<'a> {
    fn from(request: &Self) -> Self {
        *request
    }
}
