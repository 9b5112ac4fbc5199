//! The key that a request is sent with, as the inner service sees it.

use std::sync::Arc;

use http::{HeaderMap, Uri};

use crate::key::destination::Destination;
use crate::key::id::{AccountId, KeyId};
use crate::provider::{BaseUrl, Provider};

/// A request extension that names the key which the request is sent with, for an inner service that chooses a proxy or
/// an address by key.
///
/// The rotation layer adds it to each attempt with a key that has a base URL, headers or names of models of its own,
/// and to every attempt if [`tell_key`](crate::KeyRotationLayer::tell_key) is set. It contains no secret.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{BoxError, Layer, ServiceExt, service_fn};
/// use tower_key_rotation::body::ReplayBody;
/// use tower_key_rotation::key::ChosenKey;
/// use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let client = service_fn(|request: Request<ReplayBody>| async move {
///     let key = request.extensions().get::<ChosenKey>().expect("the layer adds it");
///     assert_eq!(key.id().as_str(), "east");
///     Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
/// });
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("east")).build()?;
/// let service = KeyRotationLayer::new(pool).tell_key(true).layer(client);
/// service.oneshot(Request::get("https://api.openai.com/v1/models").body(Full::<Bytes>::default())?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ChosenKey {
    id: KeyId,
    account: Option<AccountId>,
    destination: Option<Arc<Destination>>,
}

// === impl ChosenKey ===

impl ChosenKey {
    pub(crate) const fn new(
        id: KeyId,
        account: Option<AccountId>,
        destination: Option<Arc<Destination>>,
    ) -> Self {
        Self { id, account, destination }
    }

    /// Returns the id of the key.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the account of the key, if one was declared for it or for a key that shares its account.
    pub const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// Returns the base URL of the key, if it has one of its own.
    pub fn base_url(&self) -> Option<&BaseUrl> {
        self.destination.as_ref()?.base_url.as_ref()
    }

    /// Returns whether the key may be sent to `uri`: to its own origin, or to those of the provider if it has none.
    pub(crate) fn may_go_to(&self, uri: &Uri, provider: &Provider) -> bool {
        self.base_url().map_or_else(|| provider.allows(uri), |base| base.origin().contains(uri))
    }

    /// Removes the headers of the key.
    pub(crate) fn remove_headers(&self, headers: &mut HeaderMap) {
        for (name, _) in self.destination.iter().flat_map(|it| &it.headers) {
            headers.remove(name);
        }
    }
}
