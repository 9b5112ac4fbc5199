//! The route to a link: its URL, its names for models, and its headers.
//!
//! A chain sends one request to several providers. The differences between them lie in three places: the URL, the
//! name of the model, and a few headers. A [`Route`] changes those and nothing else. A request whose model keeps
//! its name keeps its body, shared and unread.
//!
//! A request that is sent to another base loses everything that belonged to its original destination: the `Host`
//! header and every credential. The layer inside the link adds its own, as
//! [`KeyRotationLayer`](crate::KeyRotationLayer) does; otherwise see [`Route::set_header`].

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use crate::body::ReplayBody;
use crate::fallback::ProviderPin;
use crate::provider::{
    AccountHeaders, AuthScheme, BaseUrl, Endpoint, Endpoints, InvalidBaseUrl, ModelId, ModelNames, Provider,
    Unroutable,
};

/// The destination of a link's requests, and its provider's names for models.
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
/// | base URL | the caller's path | resulting URL |
/// |---|---|---|
/// | `https://a.example/v1` | `/v1/chat/completions` | `https://a.example/v1/chat/completions` |
/// | `https://a.example/api/openai/` | `/v1/chat/completions?x=1` | `https://a.example/api/openai/chat/completions?x=1` |
/// | `https://a.example` | `/v1/models` | `https://a.example/models` |
/// | `https://a.example/v2` | `/v1beta/models` | `https://a.example/v2/v1beta/models` |
///
/// A request never leaves the base: a path with a dot segment, plain or encoded, is refused as
/// [`Unroutable::Url`].
#[derive(Clone)]
pub struct Route {
    base: Option<BaseUrl>,
    /// The part of the caller's path that the base replaces: empty, or a path with a leading and no trailing slash.
    prefix: String,
    /// Whether the base joins paths by the rules of its provider, and replaces no prefix.
    native: bool,
    names: ModelNames,
    endpoints: Endpoints,
    company: Option<Arc<str>>,
    drop: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
}

/// The error of a text that is not a base URL.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a base URL: write `https://host/path`, without a query, a fragment or a user name")]
pub struct InvalidRoute(());

// === impl Route ===

impl Route {
    /// Creates a route that changes nothing.
    pub fn new() -> Self {
        Self {
            base: None,
            prefix: "/v1".into(),
            native: false,
            names: ModelNames::default(),
            endpoints: Endpoints::ALL,
            company: None,
            drop: Vec::new(),
            set: Vec::new(),
        }
    }

    /// Creates a route to another base URL. Its scheme and authority replace the caller's, and its path
    /// replaces the caller's `/v1` (see [`from_prefix`](Self::from_prefix)).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRoute`] if the text is not `https://host/path` or `http://host/path`, without a query,
    /// a fragment or a user name.
    pub fn to(base_url: &str) -> Result<Self, InvalidRoute> {
        let base = base_url.parse().map_err(|InvalidBaseUrl { .. }| InvalidRoute(()))?;
        Ok(Self { base: Some(base), ..Self::new() })
    }

    /// Creates a route to OpenAI: `https://api.openai.com/v1`.
    pub fn openai() -> Self {
        Self::fixed("https://api.openai.com/v1").of_provider(&Provider::openai())
    }

    /// Creates a route to Anthropic's OpenAI-compatible endpoint, `https://api.anthropic.com/v1/`.
    ///
    /// The endpoint has Chat Completions with streaming and tools, and no embeddings, audio or Responses. Anthropic
    /// offers it for trying out its models, not as a long-term solution. Differences from OpenAI:
    ///
    /// - `response_format`, `strict`, `logprobs`, `prediction`, `seed`, `metadata` and the penalties are
    ///   ignored, so a response need not conform to the requested schema. `n` must be 1.
    /// - A `temperature` above 1 counts as 1.
    /// - System messages, wherever they are, are joined and moved to the front.
    /// - There is no prompt caching, and the text of thinking is not returned.
    /// - The limits are those of `/v1/messages`. An error response for a limit has the *type*
    ///   `invalid_request_error` and the *code* `rate_limit_error`; the classifier of
    ///   [`Provider::anthropic`](crate::Provider::anthropic) understands both.
    pub fn anthropic_compatible() -> Self {
        Self::fixed("https://api.anthropic.com/v1").of_provider(&Provider::anthropic())
    }

    /// Creates a route to Gemini's OpenAI-compatible endpoint,
    /// `https://generativelanguage.googleapis.com/v1beta/openai/`.
    ///
    /// The endpoint has Chat Completions with streaming and tools, embeddings, and models. Differences from OpenAI:
    ///
    /// - The key is a bearer token, not an `x-goog-api-key`: see [`Provider::gemini`](crate::Provider::gemini).
    /// - An unknown field is refused with a 400 instead of ignored.
    /// - `finish_reason` is `stop` where OpenAI has `tool_calls`.
    /// - Errors come as a list of one, and tokens of thinking are in the total but not in the completion.
    ///   This crate understands both.
    pub fn gemini_compatible() -> Self {
        Self::fixed("https://generativelanguage.googleapis.com/v1beta/openai")
            .of_provider(&Provider::gemini())
    }

    /// Creates a route to a base URL that is known to be valid.
    fn fixed(base_url: &'static str) -> Self {
        Self { base: base_url.parse().ok(), ..Self::new() }
    }

    /// Takes over the [endpoints](Self::endpoints) and the [company](Self::company) of a provider.
    #[must_use]
    pub fn of_provider(self, provider: &Provider) -> Self {
        self.endpoints(provider.endpoints()).company(provider.company())
    }

    /// Sets the endpoints that the link has. A request for another endpoint is not sent there. Default:
    /// [`Endpoints::ALL`], or those of the provider for the three constructors with a provider's name.
    #[must_use]
    pub const fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Sets the company behind the link. A request that concerns stored objects, such as files, batches and earlier
    /// responses, is sent to links of one company only. Default: each link is a company of its own.
    #[must_use]
    pub fn company(mut self, company: impl Into<Arc<str>>) -> Self {
        self.company = Some(company.into());
        self
    }

    /// Sets the part of the caller's path that the path of the base URL replaces. Default: `/v1`.
    ///
    /// A path without this prefix is appended to the base's path as a whole. With an empty prefix every path is.
    #[must_use]
    pub fn from_prefix(mut self, prefix: &str) -> Self {
        let bare = prefix.trim_matches('/');
        self.prefix = if bare.is_empty() { String::new() } else { format!("/{bare}") };
        self
    }

    /// Joins the caller's path with the base URL as the native API of a provider needs it, whose paths have versions of
    /// their own: `https://api.anthropic.com` and `/v1/messages` make `/v1/messages`, and a base URL that ends with
    /// `/v1beta/openai` and `/v1beta/models/MODEL:generateContent` make `/v1beta/models/MODEL:generateContent`. Default:
    /// the base URL [replaces](Self::from_prefix) `/v1`.
    #[must_use]
    pub fn native(mut self, provider: &Provider) -> Self {
        self.base = self.base.map(|base| base.with_base_path(|path| provider.base_path(path)));
        self.native = true;
        self
    }

    /// Sets the provider's name for the model that callers name `caller`. May be called repeatedly, for
    /// different models.
    #[must_use]
    pub fn model(mut self, caller: impl Into<ModelId>, provider: impl Into<ModelId>) -> Self {
        self.names.by_caller.insert(caller.into(), provider.into());
        self
    }

    /// Sets the provider's model for every model without a name of its own (`"*"` in a configuration). Default:
    /// such a model keeps its name. A request that is [pinned](crate::fallback::ProviderPin) to the link keeps
    /// the model it names.
    #[must_use]
    pub fn any_model(mut self, provider: impl Into<ModelId>) -> Self {
        self.names.any = Some(provider.into());
        self
    }

    /// Refuses models for which the route has no name. Default: they are sent under the caller's name. A
    /// request that names no model is sent in any case.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.names.strict = true;
        self
    }

    /// Removes a header of the caller. May be called repeatedly.
    #[must_use]
    pub fn drop_header(mut self, name: HeaderName) -> Self {
        self.drop.push(name);
        self
    }

    /// Sets a header, which replaces the caller's if there is one. May be called repeatedly.
    #[must_use]
    pub fn set_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.set.push((name, value));
        self
    }

    /// Returns whether the link has an endpoint.
    pub(super) const fn serves(&self, endpoint: Endpoint) -> bool {
        self.endpoints.contains(endpoint)
    }

    /// Returns whether two links know each other's ids.
    pub(super) fn shares_ids_with(&self, other: &Self) -> bool {
        self.company.is_some() && self.company == other.company
    }

    /// Returns whether a model may have another name at this link.
    pub(crate) fn renames(&self) -> bool {
        self.names.matter()
    }

    /// Renames the model of a request. `model` is the caller's name for it, if known; otherwise the request is
    /// searched for it. Returns the body to send.
    ///
    /// May have to wait for the end of a streamed body. The new name is left as a [`ModelId`] among the extensions.
    pub(crate) async fn rename(
        &self,
        parts: &mut Parts,
        body: &ReplayBody,
        model: Option<&ModelId>,
    ) -> Result<ReplayBody, Unroutable> {
        let pinned = parts.extensions.get::<ProviderPin>().is_some();
        self.names.apply(parts, body, model, pinned).await
    }

    /// Applies the route to the rest of the head. After an error the request may have lost its URL.
    pub(crate) fn direct<B>(&self, request: &mut Request<B>) -> Result<(), Unroutable> {
        if let Some(base) = &self.base {
            let mut uri = std::mem::take(request.uri_mut());
            // Everything that belonged to another destination goes.
            AuthScheme::Bearer.strip(&mut uri, request.headers_mut()).map_err(|_| Unroutable::Url)?;
            match self.native {
                true => base.direct(&mut uri, request.headers_mut())?,
                false => base.direct_below(&mut uri, request.headers_mut(), &self.prefix)?,
            }
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
        let Self { base, prefix, native, names, endpoints, company, drop, set } = self;
        let base = base.as_ref().map(|base| format!("{base}{}", base.path()));
        f.debug_struct("Route")
            .field("base", &base)
            .field("prefix", prefix)
            .field("native", native)
            .field("names", names)
            .field("endpoints", endpoints)
            .field("company", company)
            .field("drop", drop)
            .field("set", &set.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests;
