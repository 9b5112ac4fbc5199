//! All that differs between providers.
//!
//! A [`Provider`] is a profile: where its keys may go, how they are stamped, where a request names its
//! model, how its answers are to be read and what they say of quotas. Adding a provider is adding a row
//! or a file here; nobody outside this module compares a provider's name.
//!
//! Three providers have functions of their own, because they need logic: [`Provider::openai`],
//! [`Provider::anthropic`], [`Provider::gemini`]. The others are presets, data that deviates from what
//! OpenAI made common ([`Provider::preset`]). What is in no list is [`Provider::compatible`] or built by
//! hand ([`Provider::builder`]); its answers are read by rules that are true of everybody.

mod anthropic;
mod auth;
mod base_path;
mod builder;
mod carrier;
mod classifier;
mod compatible;
mod dialect;
mod document;
mod form;
mod gemini;
mod identity;
mod limits;
mod model;
mod openai;
mod origin;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};

pub use self::auth::{API_KEY, AuthScheme, CREDENTIAL_HEADERS, QUERY_KEY, X_API_KEY, X_GOOG_API_KEY};
pub(crate) use self::base_path::has_dot_segment;
pub use self::base_path::{BasePath, LeavesBase};
pub use self::builder::ProviderBuilder;
pub(crate) use self::carrier::AccountHeaders;
pub use self::classifier::ProviderClassifier;
use self::dialect::Dialect;
pub(crate) use self::document::{NamedModel, each_model};
pub(crate) use self::form::models as models_in_form;
pub(crate) use self::identity::AccountFingerprint;
pub use self::limits::{Dimension, Limit, Window};
pub(crate) use self::model::decoded;
pub use self::model::{ModelId, ModelPath};
pub(crate) use self::origin::port;
pub use self::origin::{InvalidOrigin, Origin};
use crate::body::meter::Usage;
use crate::classify::error_body::ErrorBody;
use crate::clock::Timestamp;

/// One LLM API. Cheap to clone.
#[derive(Clone)]
pub struct Provider(Arc<Profile>);

#[derive(Clone)]
struct Profile {
    name: Cow<'static, str>,
    /// What OpenTelemetry calls the API; of one that is in no list, its first name.
    system: Cow<'static, str>,
    origins: Vec<Origin>,
    auth: AuthScheme,
    env_prefixes: Vec<Cow<'static, str>>,
    model_path: ModelPath,
    /// Overrides the dialect.
    errors_in_ok_bodies: Option<bool>,
    dialect: &'static Dialect,
}

// === impl Provider ===

impl Provider {
    /// OpenAI: `https://api.openai.com/v1`, `Authorization: Bearer`.
    pub fn openai() -> Self {
        Self::from_preset(&openai::PRESET)
    }

    /// Anthropic: `https://api.anthropic.com/v1`, `x-api-key`.
    pub fn anthropic() -> Self {
        Self::from_preset(&anthropic::PRESET)
    }

    /// The Gemini API: `https://generativelanguage.googleapis.com`, `x-goog-api-key`; and its
    /// OpenAI-compatible endpoint below `/v1beta/openai/`, which takes the same keys as bearer tokens.
    pub fn gemini() -> Self {
        Self::from_preset(&gemini::PRESET)
    }

    /// A provider by its name or an alias, in any case; `None` for one that is not known.
    ///
    /// ```
    /// use tower_key_rotation::Provider;
    ///
    /// assert_eq!(Provider::preset("Kimi").map(|p| p.name().to_owned()).as_deref(), Some("moonshot"));
    /// assert!(Provider::preset("nobody").is_none());
    /// ```
    pub fn preset(name: &str) -> Option<Self> {
        compatible::find(name).map(Self::from_preset)
    }

    /// The names of all presets, without their aliases.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        compatible::all().map(|preset| preset.name)
    }

    /// A provider that is compatible with OpenAI and otherwise unknown: bearer tokens, the model in the
    /// body, answers read by rules that are true of everybody. It has no origin yet
    /// ([`with_origin`](Self::with_origin)), so that no key can go anywhere.
    pub fn compatible(name: impl Into<Cow<'static, str>>) -> Self {
        Self::builder(name).build()
    }

    /// Starts a profile of your own.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> ProviderBuilder {
        ProviderBuilder::new(name.into())
    }

    /// The provider's name, as in logs and errors.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What OpenTelemetry's semantic conventions for generative AI call this API, whatever name the provider
    /// was given: their `gen_ai.provider.name`.
    pub(crate) fn system(&self) -> &str {
        &self.0.system
    }

    /// How a key is stamped.
    pub fn auth(&self) -> &AuthScheme {
        &self.0.auth
    }

    /// How a key is stamped on a request to `uri`: as ever, unless the provider has a part that takes its
    /// keys otherwise. Gemini's OpenAI-compatible endpoint wants a bearer token.
    pub fn auth_at(&self, uri: &Uri) -> &AuthScheme {
        match self.0.dialect.bearer_below {
            Some(part) if matches!(self.0.auth, AuthScheme::Header(_)) && uri.path().contains(part) => {
                &AuthScheme::Bearer
            }
            _ => &self.0.auth,
        }
    }

    /// The path of a base URL as the boundary of the provider's paths. Gemini has its versions, and its
    /// OpenAI-compatible endpoint, beside each other: below `/v1beta/openai` a path that begins with `/v1beta`
    /// or `/v1` is one of its native API.
    pub fn base_path(&self, path: &str) -> BasePath {
        let base = BasePath::new(path);
        if self.0.dialect.bearer_below.is_some() { base.with_versions() } else { base }
    }

    /// Where a key may go.
    pub fn origins(&self) -> &[Origin] {
        &self.0.origins
    }

    /// Whether a key may be sent to `uri`.
    pub fn allows(&self, uri: &Uri) -> bool {
        self.0.origins.iter().any(|origin| origin.contains(uri))
    }

    /// The same provider, whose keys may also go to `origin`.
    #[must_use]
    pub fn allow_origin(mut self, origin: Origin) -> Self {
        Arc::make_mut(&mut self.0).origins.push(origin);
        self
    }

    /// The same provider at another place: its keys may go to `origin` only.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        Arc::make_mut(&mut self.0).origins = vec![origin];
        self
    }

    /// The same provider under another name: one of two accounts, regions or deployments of it.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.0).name = name.into();
        self
    }

    /// What its environment variables begin with: `OPENAI` for `OPENAI_API_KEY`.
    pub fn env_prefixes(&self) -> &[Cow<'static, str>] {
        &self.0.env_prefixes
    }

    /// The provider's own classifier.
    pub fn classifier(&self) -> ProviderClassifier {
        ProviderClassifier::new(self.clone())
    }

    /// Whether this provider puts errors into the body of a 200 that is no event stream, so that such a
    /// body is worth a look: OpenRouter, Azure OpenAI, AWS Bedrock, MiniMax.
    pub fn errors_in_ok_bodies(&self) -> bool {
        self.0.errors_in_ok_bodies.unwrap_or(self.0.dialect.errors_in_ok_bodies)
    }

    /// Whether its daily quotas start anew at Pacific midnight, and not at that of universal time: Gemini
    /// (<https://ai.google.dev/gemini-api/docs/rate-limits>).
    pub fn has_pacific_days(&self) -> bool {
        self.0.dialect.pacific_days
    }

    /// The model that the path of a request names, where this provider does so.
    pub fn model_in_path(&self, uri: &Uri) -> Option<ModelId> {
        self.0.model_path.find(uri)
    }

    /// The model that the body of a request names: the top-level member `model` of a JSON document, the
    /// field `model` of a form; of several the last. The body may be cut off after it. A name that is no
    /// [`ModelId`] is none.
    pub fn model_in_body(&self, content_type: Option<&HeaderValue>, frames: &[Bytes]) -> Option<ModelId> {
        self.named_model(content_type, frames).model
    }

    /// The same, and whether that is sure.
    pub(crate) fn named_model(&self, content_type: Option<&HeaderValue>, frames: &[Bytes]) -> NamedModel {
        let mut named = document::read(content_type, frames);
        if self.0.model_path == ModelPath::Google {
            named.model = named.model.map(model::without_collection);
        }
        named
    }

    /// What an answer says of quotas, in its headers and in `body`, the part of it that was read.
    pub fn limits(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Vec<Limit> {
        let mut found = limits::in_headers(self.0.dialect.windows, headers, now);
        found.retain(Limit::has_numbers);
        if !body.is_empty() {
            limits::merge(&mut found, limits::in_body(&ErrorBody::parse(body), now));
        }
        found
    }

    /// What headers say of quotas that a ledger can rely on.
    pub(crate) fn telling_limits(&self, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
        limits::telling(self.0.dialect.windows, headers, now)
    }

    /// Whether a reset is when a bucket is full, and not when a window is over.
    pub(crate) fn resets_mean_full(&self) -> bool {
        !self.0.dialect.exact_resets
    }

    /// The tokens that an answer says it took; `body` is a whole answer that is no event stream.
    pub fn usage(&self, headers: &HeaderMap, body: &[u8]) -> Option<Usage> {
        Usage::from_answer(body).or_else(|| Usage::from_headers(headers))
    }

    /// The account that an answer was counted for, where this provider says so.
    pub(crate) fn account_in(&self, headers: &HeaderMap) -> Option<AccountFingerprint> {
        AccountFingerprint::find(self.0.dialect.account, headers)
    }

    fn from_preset(preset: &dialect::Preset) -> Self {
        Self(Arc::new(Profile {
            name: Cow::Borrowed(preset.name),
            system: Cow::Borrowed(dialect::system(preset.name)),
            origins: preset.origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
            auth: preset.auth.clone(),
            env_prefixes: preset.env_prefixes.iter().copied().map(Cow::Borrowed).collect(),
            model_path: preset.model_path,
            errors_in_ok_bodies: None,
            dialect: preset.dialect,
        }))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Profile { name, origins, auth, env_prefixes, model_path, .. } = &*self.0;
        f.debug_struct("Provider")
            .field("name", name)
            .field("origins", origins)
            .field("auth", auth)
            .field("env_prefixes", env_prefixes)
            .field("model_path", model_path)
            .finish()
    }
}
