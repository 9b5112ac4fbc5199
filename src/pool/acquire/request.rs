//! The request for a lease.

use crate::key::KeyId;
use crate::limits::{Cost, Estimate};
use crate::pool::Session;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::serving::KeyMask;
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
    /// The path of the request's URL.
    pub(crate) endpoint: Option<&'a str>,
    /// The key whose account alone may serve the request, because it holds what the request names.
    pub(crate) home: Option<&'a KeyId>,
    /// The keys that may serve the request; `None` means all.
    pub(in crate::pool) mask: Option<&'a KeyMask>,
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
            endpoint: None,
            home: None,
            mask: None,
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

    /// Asks for a key that may be used for this endpoint: the path of the request's URL. Default: the path is
    /// unknown, and [endpoints of keys](crate::ApiKey::only_endpoints) do not count.
    pub const fn endpoint(mut self, path: &'a str) -> Self {
        self.endpoint = Some(path);
        self
    }

    /// Passes the request to `look`, with the keys of the set that may serve it.
    pub(in crate::pool) fn within<T>(&self, set: &KeySet, look: impl FnOnce(&AcquireRequest<'_>) -> T) -> T {
        let at_home = self.home.and_then(|home| set.at_home(home));
        let serving = set.serving.as_ref().map(|serving| serving.mask(self.model, self.endpoint));
        let mask = match (at_home, serving) {
            (Some(at_home), Some(serving)) => Some(serving.and(&at_home)),
            (at_home, serving) => at_home.or(serving),
        };
        let masked;
        // One call of `look` for both, which is inlined.
        look(match &mask {
            None => self,
            mask => {
                masked = AcquireRequest { mask: mask.as_ref(), ..*self };
                &masked
            }
        })
    }

    /// Returns whether the request may use a key of the set.
    pub(in crate::pool) fn allows(&self, set: &KeySet, key: usize) -> bool {
        self.may_be_served_by(key) && (self.tried.is_empty() || !self.tried.contains(&set.keys[key].id))
    }

    /// Returns whether a key may be used for the request's model and endpoint.
    pub(in crate::pool) fn may_be_served_by(&self, key: usize) -> bool {
        self.mask.is_none_or(|mask| mask.has(key))
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
