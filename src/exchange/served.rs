//! The provider and key that served a request, and the attempts before.

use std::sync::Arc;

use http::{Response, StatusCode};

use crate::body::meter::Usage;
use crate::body::{StreamErrorKind, UsageSlot};
use crate::classify::{Fault, Verdict};
use crate::clock::Moment;
use crate::error::Attempt;
use crate::key::KeyId;
use crate::provider::{ModelId, Provider};

/// A response extension that names the provider and key that served the request, and the attempts before.
///
/// A rotation layer adds it to each response that it delivers.
///
/// A request counts as in flight until the body of its response has ended. After a switch of protocols (status 101, a
/// WebSocket), it counts as long as a clone of this value exists: keep one until the upgraded connection ends. See
/// [WebSockets](crate::rotate#websockets).
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use tower::{BoxError, Layer, ServiceExt, service_fn};
/// use tower_key_rotation::body::ReplayBody;
/// use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let client = service_fn(|_: Request<ReplayBody>| async {
///     let body = r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":30}}"#;
///     Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(body)))
/// });
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let service = KeyRotationLayer::new(pool).layer(client);
///
/// let request = Request::post("https://api.openai.com/v1/chat/completions").body(Full::<Bytes>::default())?;
/// let response = service.oneshot(request).await?;
/// let served = response.extensions().get::<Served>().expect("every response has one").clone();
/// assert_eq!((served.provider(), served.key_id().as_str()), ("openai", "one"));
///
/// // The usage is known when the body has been read.
/// response.into_body().collect().await?;
/// assert_eq!(served.usage().and_then(|usage| usage.total_tokens), Some(42));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Served {
    provider: Provider,
    /// Name of the provider's link in a chain.
    link: Option<Arc<str>>,
    key: KeyId,
    model: Option<ModelId>,
    verdict: Verdict,
    attempts: Vec<Attempt>,
    /// Filled when the body of the response has ended.
    usage: UsageSlot,
    /// Whether the body is already guarded as the surrounding chain requires.
    guarded: bool,
    /// The time at which the attempt began that served the request.
    began: Moment,
}

// === impl Served ===

impl Served {
    pub(crate) fn new(
        provider: Provider,
        key: KeyId,
        model: Option<ModelId>,
        verdict: Verdict,
        attempts: Vec<Attempt>,
        usage: UsageSlot,
        began: Moment,
    ) -> Self {
        Self { provider, link: None, key, model, verdict, attempts, usage, guarded: false, began }
    }

    /// Returns the provider's name, or that of its link in a chain.
    pub fn provider(&self) -> &str {
        self.link.as_deref().unwrap_or_else(|| self.provider.name())
    }

    /// Returns the id of the key that served the request.
    pub const fn key_id(&self) -> &KeyId {
        &self.key
    }

    /// Returns the model of the request. `None` if the layer did not look for it: the layer does not read a request
    /// that is served at the first attempt by a pool in which no model was ever at fault.
    pub const fn model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// Returns the classifier's verdict about the response.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Returns the token usage of the response, if its provider reports it.
    ///
    /// `None` until the body has been read to its end or dropped. Keep a clone of this value and read the usage
    /// then.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.get()
    }

    /// Returns the error that ended the response's body after the response was handed over, if any.
    ///
    /// `None` until the body has ended. All clones of this value see the error. A body that its reader dropped
    /// early has not failed.
    pub fn stream_error(&self) -> Option<StreamErrorKind> {
        self.usage.error()
    }

    /// Returns the failed attempts before this one, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns the slot to which the body reports its usage.
    pub(crate) fn usage_slot(&self) -> UsageSlot {
        self.usage.clone()
    }

    /// Returns the usage slot of a response, or an unused slot if no rotation layer made the response.
    pub(crate) fn usage_slot_of<T>(response: &Response<T>) -> UsageSlot {
        response.extensions().get().map_or_else(UsageSlot::default, Self::usage_slot)
    }

    pub(crate) const fn usage_cell_ref(&self) -> &UsageSlot {
        &self.usage
    }

    /// Records that the body is guarded as a chain requires.
    pub(crate) const fn set_guarded(&mut self) {
        self.guarded = true;
    }

    pub(crate) const fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Sets the name of the link.
    pub(crate) fn set_link(&mut self, link: Arc<str>) {
        self.attempts.iter_mut().for_each(|attempt| attempt.provider = Arc::clone(&link));
        self.link = Some(link);
    }

    /// Prepends the attempts of other links.
    pub(crate) fn prepend(&mut self, before: impl IntoIterator<Item = Attempt>) {
        self.attempts.splice(..0, before);
    }

    /// Converts into the list of attempts, with this one last, if the response failed before it was handed over.
    pub(crate) fn into_failed(self, link: &Arc<str>, status: StatusCode, fault: &Fault) -> Vec<Attempt> {
        let Self { key, mut attempts, began, .. } = self;
        let duration = Moment::now().saturating_since(began);
        attempts.push(Attempt {
            provider: Arc::clone(link),
            key: Some(key),
            status: Some(status),
            fault: fault.clone(),
            cooldown: None,
            duration,
        });
        attempts.iter_mut().for_each(|attempt| attempt.provider = Arc::clone(link));
        attempts
    }
}
