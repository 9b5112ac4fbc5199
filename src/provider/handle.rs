//! The provider: a cheap handle to a profile.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};

use crate::body::meter::Usage;
use crate::clock::Timestamp;
use crate::provider::profile::Profile;
use crate::provider::search::{Found, search};
use crate::provider::{
    AccountFingerprint, AuthScheme, BasePath, Endpoint, Endpoints, KeyCall, Limit, ModelId, NamedModel,
    Origin, ProviderBuilder, ProviderClassifier, Rule,
};
use crate::provider::{anthropic, compatible, gemini, limits, openai, preset};
use crate::scrub::secret::Secret;

/// A profile of one LLM API. Cheap to clone.
///
/// ```
/// use tower_key_rotation::Provider;
///
/// let provider = Provider::openai().with_name("openai-eu").with_origin("https://eu.api.openai.com".parse()?);
/// assert_eq!(provider.name(), "openai-eu");
/// assert!(provider.allows(&"https://eu.api.openai.com/v1/responses".parse()?));
/// assert!(!provider.allows(&"https://api.openai.com/v1/responses".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Provider(pub(super) Arc<Profile>);

// === impl Provider ===

impl Provider {
    /// Creates OpenAI: `https://api.openai.com/v1`, `Authorization: Bearer`.
    pub fn openai() -> Self {
        Self::from_preset(&openai::PRESET)
    }

    /// Creates Anthropic: `https://api.anthropic.com/v1`, `x-api-key`.
    pub fn anthropic() -> Self {
        Self::from_preset(&anthropic::PRESET)
    }

    /// Creates the Gemini API: `https://generativelanguage.googleapis.com`, `x-goog-api-key`.
    ///
    /// Its OpenAI-compatible endpoint below `/v1beta/openai/` takes the same keys as bearer tokens.
    pub fn gemini() -> Self {
        Self::from_preset(&gemini::PRESET)
    }

    /// Returns a preset by its name or an alias, in any case; `None` if there is none.
    ///
    /// ```
    /// use tower_key_rotation::Provider;
    ///
    /// assert_eq!(Provider::preset("Kimi").map(|p| p.name().to_owned()).as_deref(), Some("moonshot"));
    /// assert!(Provider::preset("unknown").is_none());
    /// ```
    pub fn preset(name: &str) -> Option<Self> {
        compatible::find(name).map(Self::from_preset)
    }

    /// Iterates over the names of all presets, without their aliases.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        compatible::all().map(|preset| preset.name)
    }

    /// Creates an OpenAI-compatible provider: bearer tokens, the model in the body, responses classified by
    /// rules that hold for every provider.
    ///
    /// It has no origin, so no key is sent anywhere until [`with_origin`](Self::with_origin) sets one.
    pub fn compatible(name: impl Into<Cow<'static, str>>) -> Self {
        Self::builder(name).build()
    }

    /// Starts a custom profile.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> ProviderBuilder {
        ProviderBuilder::new(name.into())
    }

    /// Returns the provider's name, as shown in logs and errors.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the company whose API this is, whatever name the provider was given: its `gen_ai.provider.name` in
    /// OpenTelemetry's conventions. Two providers of one company know each other's ids.
    pub fn company(&self) -> &str {
        &self.0.system
    }

    /// Returns the endpoints of the provider, in its OpenAI-compatible API and in its own.
    /// [`Endpoints::OPENAI`] for a provider that is no preset.
    pub fn endpoints(&self) -> Endpoints {
        self.0.endpoints
    }

    /// Returns how a key is put onto a request.
    ///
    /// A part of an API may take keys differently: Gemini's OpenAI-compatible endpoint expects a bearer token.
    /// [`Lease::apply_key`](crate::pool::Lease::apply_key) heeds that.
    pub fn auth(&self) -> &AuthScheme {
        &self.0.auth
    }

    /// Returns how a key is put onto a request to `uri`. Differs from [`auth`](Self::auth) at parts of Gemini and Azure.
    pub(crate) fn auth_at(&self, uri: &Uri, secret: &Secret) -> &AuthScheme {
        self.0.auth_at(uri, secret)
    }

    /// Returns the free call that proves a key; `None` if none is known.
    pub(crate) fn key_call(&self) -> Option<KeyCall> {
        self.0.key_call()
    }

    /// Returns the path of a base URL as the boundary for the paths of requests.
    ///
    /// Gemini's API versions and its OpenAI-compatible endpoint lie beside each other: below
    /// `/v1beta/openai`, a path that begins with `/v1beta` or `/v1` belongs to its native API.
    pub fn base_path(&self, path: &str) -> BasePath {
        let (base, own) = (BasePath::new(path), self.endpoints());
        match self.0.dialect.bearer_below {
            Some(_) => base.with_versions().with_native_version("v1beta"),
            None if own.contains(Endpoint::Messages) => base.with_native_version("v1"),
            None => base,
        }
    }

    /// Returns the origins to which a key may be sent.
    pub fn origins(&self) -> &[Origin] {
        &self.0.origins
    }

    /// Returns whether a key may be sent to `uri`.
    pub fn allows(&self, uri: &Uri) -> bool {
        self.0.origins.iter().any(|origin| origin.contains(uri))
    }

    /// Adds an origin to which keys may be sent.
    #[must_use]
    pub fn allow_origin(mut self, origin: Origin) -> Self {
        Arc::make_mut(&mut self.0).origins.push(origin);
        self
    }

    /// Replaces all origins: keys may be sent to `origin` only.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        Arc::make_mut(&mut self.0).origins = vec![origin];
        self
    }

    /// Sets the name, to distinguish two accounts, regions or deployments of one provider.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.0).name = name.into();
        self
    }

    /// Adds a rule of the operator. May be called repeatedly. Default: none.
    ///
    /// Rules are read before the built-in classification, in the order in which they were added, and the first
    /// one whose conditions hold decides.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::Provider;
    /// use tower_key_rotation::classify::{Reason, Scope};
    /// use tower_key_rotation::provider::Rule;
    ///
    /// let hour = Duration::from_secs(60 * 60);
    /// let rule = Rule::builder().status(403).fault(Reason::Forbidden, Scope::Key).wait(hour).build()?;
    /// let provider = Provider::openai().rule(rule);
    /// # let _ = provider;
    /// # Ok::<(), tower_key_rotation::provider::RuleError>(())
    /// ```
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        Arc::make_mut(&mut self.0).rules.push(rule);
        self
    }

    /// Returns the rules of the operator, in the order in which they are read.
    pub fn rules(&self) -> &[Rule] {
        &self.0.rules
    }

    /// Returns the prefixes of the provider's environment variables: `OPENAI` for `OPENAI_API_KEY`.
    pub fn env_prefixes(&self) -> &[Cow<'static, str>] {
        &self.0.env_prefixes
    }

    /// Returns the environment variables that hold a key under a name of the provider's own: `HF_TOKEN`.
    pub fn env_names(&self) -> &[Cow<'static, str>] {
        &self.0.env_names
    }

    /// Returns the base URL of a preset: `https://api.groq.com/openai/v1`. `None` if its customers have hosts
    /// of their own (Azure, LiteLLM), or if its [origins](Self::with_origin) were replaced by others.
    pub fn base_url(&self) -> Option<&'static str> {
        self.0.base_url()
    }

    /// Returns the page that documents a preset's base URL and authentication.
    pub fn docs_url(&self) -> Option<&'static str> {
        self.0.preset.map(|preset| preset.docs)
    }

    /// Returns whether requests need a key. False for the presets of local servers: a pool without a key is
    /// then built with [`ApiKey::not_needed`](crate::key::ApiKey::not_needed).
    pub fn needs_key(&self) -> bool {
        self.0.preset.is_none_or(|preset| preset.needs_key)
    }

    /// Returns the name of the preset to which a key seems to belong, if that is not this one.
    pub(crate) fn owner_of(&self, key: &str) -> Option<&'static str> {
        self.0.preset.and_then(|own| compatible::owner(own, key)).map(|owner| owner.name)
    }

    /// Returns the built-in classifier of this provider.
    pub fn classifier(&self) -> ProviderClassifier {
        ProviderClassifier::new(self.clone())
    }

    /// Returns whether this provider sends errors in the body of a 200 that is not an event stream, so that
    /// such a body must be read. True for OpenRouter, Azure OpenAI, AWS Bedrock and MiniMax, and with a
    /// [rule](Self::rule) about the body of a success.
    pub fn errors_in_ok_bodies(&self) -> bool {
        self.0.errors_in_ok_bodies()
    }

    /// Returns whether daily quotas reset at midnight Pacific time (<https://ai.google.dev/gemini-api/docs/rate-limits>).
    pub(crate) fn has_pacific_days(&self) -> bool {
        self.0.dialect.pacific_days
    }

    /// Returns the model that the path of a request names; `None` if this provider's paths name none.
    pub fn model_in_path(&self, uri: &Uri) -> Option<ModelId> {
        self.0.model_path.find(uri)
    }

    /// Returns the model that the body of a request names: the top-level member `model` of a JSON document, or the field
    /// `model` of a form.
    ///
    /// Of several the last counts. The body may be cut off behind it. `None` for a name that is not a valid [`ModelId`].
    pub fn model_in_body(&self, content_type: Option<&HeaderValue>, frames: &[Bytes]) -> Option<ModelId> {
        self.named(search(content_type.map(HeaderValue::as_bytes), frames)).model
    }

    /// Returns the model that a whole body names, as [`model_in_body`](Self::model_in_body) does, if no server can find
    /// another one in it.
    pub fn only_model_in_body(&self, kind: Option<&HeaderValue>, frames: &[Bytes]) -> Option<ModelId> {
        let named = self.named(search(kind.map(HeaderValue::as_bytes), frames));
        named.model.filter(|_| named.is_sure)
    }

    /// Returns the model among the names that were found in a body, and whether no reader can find another.
    pub(crate) fn named(&self, found: Found) -> NamedModel {
        NamedModel::from(found).written_in(self.0.model_path)
    }

    /// Returns the limits that a response reports in its headers and in `body`, the part of its body that was read.
    pub fn limits(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Vec<Limit> {
        limits::reported(self.0.dialect.windows, headers, body, now)
    }

    /// Returns the limits in headers that a ledger can rely on.
    pub(crate) fn telling_limits(&self, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
        limits::telling(self.0.dialect.windows, headers, now)
    }

    /// Returns whether a reset is the time at which a bucket is full, rather than the end of a window.
    pub(crate) fn resets_mean_full(&self) -> bool {
        !self.0.dialect.exact_resets
    }

    /// Returns the tokens that a response reports as used. `body` is the whole body of a response that is no stream.
    pub fn usage(&self, headers: &HeaderMap, body: &[u8]) -> Option<Usage> {
        Usage::from_body(body).or_else(|| Usage::from_headers(headers))
    }

    /// Returns the account that a response was counted for, if this provider names it.
    pub(crate) fn account_in(&self, headers: &HeaderMap) -> Option<AccountFingerprint> {
        AccountFingerprint::find(self.0.dialect.account, headers)
    }

    fn from_preset(preset: &'static preset::Preset) -> Self {
        Self(Arc::new(Profile::of(preset)))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name()).finish_non_exhaustive()
    }
}
