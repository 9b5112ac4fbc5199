//! Where a link's requests go, and what its provider calls things.
//!
//! A chain sends one request to several providers, and what differs between them lies in three places: the
//! URL, the name of the model, a few headers. A [`Route`] changes those and nothing else; a request that needs
//! no other name for its model keeps its body, shared and unread.
//!
//! A request that is sent somewhere else loses what belonged to the place it was meant for: the `Host` header
//! and every credential. Whoever serves the link puts its own on it, as
//! [`KeyRotationLayer`](crate::KeyRotationLayer) does; otherwise see [`Route::set_header`].

mod base;

use std::fmt;

use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Request};

use crate::body::ReplayBody;
use crate::fallback::rename::Names;
use crate::fallback::route::base::Base;
use crate::provider::{AccountHeaders, BasePath, ModelId};

/// Where a link's requests go, and what its provider calls the models.
///
/// ```
/// use tower_key_rotation::fallback::Route;
///
/// let route = Route::to("https://llm.example.org/openai/v1")?
///     .model("gpt-4o", "llama-3.3-70b")
///     .any_model("llama-3.1-8b");
/// # Ok::<(), tower_key_rotation::fallback::InvalidRoute>(())
/// ```
///
/// | base URL | the caller's path | where it goes |
/// |---|---|---|
/// | `https://a.example/v1` | `/v1/chat/completions` | `https://a.example/v1/chat/completions` |
/// | `https://a.example/api/openai/` | `/v1/chat/completions?x=1` | `https://a.example/api/openai/chat/completions?x=1` |
/// | `https://a.example` | `/v1/models` | `https://a.example/models` |
/// | `https://a.example/v2` | `/v1beta/models` | `https://a.example/v2/v1beta/models` |
///
/// The base is a boundary: a path with a dot segment, plain or encoded, takes no route.
#[derive(Clone)]
pub struct Route {
    base: Option<Base>,
    /// What of the caller's path stands for the base: empty, or a slash and more without one at its end.
    prefix: String,
    names: Names,
    drop: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
}

/// A text that is no base URL.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a base URL: write `https://host/path`, without a query, a fragment or a user name")]
pub struct InvalidRoute(());

/// Why a request can't take a route. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unroutable {
    /// The route is strict and does not know the model.
    #[error("the provider has no name for the model: add it to the route's models, or `\"*\"`")]
    NoModel,
    /// The model has another name here, and the request's body can't be read to its end and sent again.
    #[error("the body that names the model is too long to be rewritten: raise the replay cap")]
    NotReplayable,
    /// The model has another name here, and the request does not show where it has the caller's.
    #[error("the model has another name here, and is not named in the path, a JSON body or a form")]
    NotFound,
    /// The URL would be none.
    #[error("the request's path makes no URL with the route's base, or would leave it with a dot segment")]
    Url,
}

// === impl Route ===

impl Route {
    /// A route that changes nothing.
    pub fn new() -> Self {
        Self { base: None, prefix: "/v1".into(), names: Names::default(), drop: Vec::new(), set: Vec::new() }
    }

    /// To another base URL: its scheme and authority, and its path in place of the caller's `/v1`
    /// ([`from_prefix`](Self::from_prefix)).
    ///
    /// # Errors
    ///
    /// [`InvalidRoute`] if that is no URL of a base.
    pub fn to(base_url: &str) -> Result<Self, InvalidRoute> {
        Ok(Self { base: Some(base_url.parse()?), ..Self::new() })
    }

    /// To OpenAI: `https://api.openai.com/v1`.
    pub fn openai() -> Self {
        Self::fixed("api.openai.com", "/v1")
    }

    /// To Anthropic's OpenAI-compatible endpoint, `https://api.anthropic.com/v1/`.
    ///
    /// It has Chat Completions with streaming and tools, and no embeddings, audio or Responses. Anthropic
    /// offers it for trying its models out, not as the way to them for good. What differs:
    ///
    /// - `response_format`, `strict`, `logprobs`, `prediction`, `seed`, `metadata` and the penalties are
    ///   ignored: a schema is then a wish and not a promise. `n` must be 1.
    /// - A `temperature` above 1 counts as 1.
    /// - System messages, wherever they are, are joined and moved to the front.
    /// - No prompt caching, and the text of thinking is not returned.
    /// - Limits are those of `/v1/messages`. A refusal for a limit has the *type* `invalid_request_error` and
    ///   the *code* `rate_limit_error`; the classifier of [`Provider::anthropic`](crate::Provider::anthropic)
    ///   knows.
    pub fn anthropic_compatible() -> Self {
        Self::fixed("api.anthropic.com", "/v1")
    }

    /// To Gemini's OpenAI-compatible endpoint, `https://generativelanguage.googleapis.com/v1beta/openai/`.
    ///
    /// It has Chat Completions with streaming and tools, embeddings, and models. What differs:
    ///
    /// - The key is a bearer token here, and not `x-goog-api-key`: see
    ///   [`Provider::gemini`](crate::Provider::gemini).
    /// - A field it does not know is a 400, not ignored.
    /// - `finish_reason` is `stop` where OpenAI says `tool_calls`.
    /// - Errors come as a list of one; tokens of thinking are in the total and not in the completion. Both are
    ///   understood here.
    pub fn gemini_compatible() -> Self {
        Self::fixed("generativelanguage.googleapis.com", "/v1beta/openai")
    }

    fn fixed(host: &'static str, path: &str) -> Self {
        let authority = Authority::from_static(host);
        Self {
            base: Some(Base { scheme: Scheme::HTTPS, authority, path: BasePath::new(path) }),
            ..Self::new()
        }
    }

    /// What of the caller's path the path of the base URL replaces; `/v1` unless said. A path without it goes
    /// behind the base's path as a whole, and so does every path if it is empty.
    #[must_use]
    pub fn from_prefix(mut self, prefix: &str) -> Self {
        let bare = prefix.trim_matches('/');
        self.prefix = if bare.is_empty() { String::new() } else { format!("/{bare}") };
        self
    }

    /// What the caller calls `caller` is `provider` here.
    #[must_use]
    pub fn model(mut self, caller: impl Into<ModelId>, provider: impl Into<ModelId>) -> Self {
        self.names.by_caller.insert(caller.into(), provider.into());
        self
    }

    /// Any model that is not named otherwise is `provider` here: `"*"` in a configuration. A request that is
    /// [pinned](crate::fallback::ProviderPin) to the link keeps the model it names.
    #[must_use]
    pub fn any_model(mut self, provider: impl Into<ModelId>) -> Self {
        self.names.any = Some(provider.into());
        self
    }

    /// Does not send a model here that the route has no name for. A request that names no model is sent.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.names.strict = true;
        self
    }

    /// Leaves a header of the caller out.
    #[must_use]
    pub fn drop_header(mut self, name: HeaderName) -> Self {
        self.drop.push(name);
        self
    }

    /// Sends a header, in place of the caller's if there is one.
    #[must_use]
    pub fn set_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.set.push((name, value));
        self
    }

    /// Whether it may be that a model has another name there.
    pub(crate) fn renames(&self) -> bool {
        self.names.matter()
    }

    /// Calls the model of a request by its name there; `model` is what the caller calls it, where that is known,
    /// and is looked for otherwise. Gives the body to send.
    ///
    /// May have to wait for the end of a streamed body. A model that is renamed is left as a [`ModelId`] among
    /// the extensions.
    pub(crate) async fn rename(
        &self,
        parts: &mut Parts,
        body: &ReplayBody,
        model: Option<&ModelId>,
    ) -> Result<ReplayBody, Unroutable> {
        self.names.apply(parts, body, model).await
    }

    /// Makes the rest of the head what the link has to send. One that can't take the route has no URL any more.
    pub(crate) fn direct<B>(&self, request: &mut Request<B>) -> Result<(), Unroutable> {
        if let Some(base) = &self.base {
            let mut uri = std::mem::take(request.uri_mut());
            base.redirect(&mut uri, request.headers_mut(), &self.prefix)?;
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        for name in &self.drop {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        if let Some(own) = AccountHeaders::among(&self.set) {
            request.extensions_mut().insert(own);
        }
        Ok(())
    }
}

impl Default for Route {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, prefix, names, drop, set } = self;
        let base =
            base.as_ref().map(|base| format!("{}://{}{}", base.scheme, base.authority, base.path.as_str()));
        f.debug_struct("Route")
            .field("base", &base)
            .field("prefix", prefix)
            .field("names", names)
            .field("drop", drop)
            .field("set", &set.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests;
