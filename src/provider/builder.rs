//! The builder of custom provider profiles.

use std::borrow::Cow;
use std::sync::Arc;

use crate::provider::dialect::COMMON;
use crate::provider::profile::Profile;
use crate::provider::{AuthScheme, Endpoints, ModelPath, Origin, Provider, Rule};

/// Builder of a [`Provider`] that is not among the presets.
///
/// ```
/// use tower_key_rotation::Provider;
/// use tower_key_rotation::provider::AuthScheme;
///
/// let relay = Provider::builder("relay")
///     .origin("https://llm.example.com".parse()?)
///     .auth(AuthScheme::Bearer)
///     .env_prefix("RELAY")
///     .answers_like(&Provider::anthropic())
///     .build();
/// assert!(relay.allows(&"https://llm.example.com/v1/messages".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ProviderBuilder {
    provider: Provider,
}

impl ProviderBuilder {
    pub(super) fn new(name: Cow<'static, str>) -> Self {
        let profile = Profile {
            system: name.clone(),
            name,
            origins: Vec::new(),
            auth: AuthScheme::Bearer,
            env_prefixes: Vec::new(),
            env_names: Vec::new(),
            model_path: ModelPath::None,
            endpoints: Endpoints::OPENAI,
            errors_in_ok_bodies: None,
            dialect: &COMMON,
            rules: Vec::new(),
            preset: None,
        };
        Self { provider: Provider(Arc::new(profile)) }
    }

    /// Adds an origin to which keys may be sent. May be called repeatedly. Default: none, so keys are sent
    /// nowhere.
    pub fn origin(self, origin: Origin) -> Self {
        Self { provider: self.provider.allow_origin(origin) }
    }

    /// Sets how a key is put onto a request. Default: [`AuthScheme::Bearer`].
    pub fn auth(mut self, auth: AuthScheme) -> Self {
        self.profile().auth = auth;
        self
    }

    /// Adds a prefix of environment variables: `RELAY` for `RELAY_API_KEY`. May be called repeatedly.
    /// Default: none.
    pub fn env_prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.profile().env_prefixes.push(prefix.into());
        self
    }

    /// Adds an environment variable by its whole name: `RELAY_TOKEN`. May be called repeatedly. Default: none.
    pub fn env_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.profile().env_names.push(name.into());
        self
    }

    /// Sets the place where the path of a request names the model. Default: [`ModelPath::None`].
    ///
    /// The body is searched for a model in any case.
    pub fn model_path(mut self, model_path: ModelPath) -> Self {
        self.profile().model_path = model_path;
        self
    }

    /// Sets the endpoints that the provider has. Default: [`Endpoints::OPENAI`].
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.profile().endpoints = endpoints;
        self
    }

    /// Sets whether the body of a 200 that is not an event stream may be an error.
    ///
    /// If so, the body is read up to the [error body limit](crate::KeyRotationLayer::error_body) of the
    /// layer, and a custom classifier sees it. Default: that of the provider given to
    /// [`answers_like`](Self::answers_like), or `false`.
    pub fn errors_in_ok_bodies(mut self, errors: bool) -> Self {
        self.profile().errors_in_ok_bodies = Some(errors);
        self
    }

    /// Interprets responses like those of `provider`. Default: by rules that hold for every provider.
    pub fn answers_like(mut self, provider: &Provider) -> Self {
        self.profile().dialect = provider.0.dialect;
        self
    }

    /// Adds a rule of the operator; see [`Provider::rule`]. May be called repeatedly. Default: none.
    pub fn rule(self, rule: Rule) -> Self {
        Self { provider: self.provider.rule(rule) }
    }

    /// Builds the provider.
    pub fn build(self) -> Provider {
        self.provider
    }

    fn profile(&mut self) -> &mut Profile {
        Arc::make_mut(&mut self.provider.0)
    }
}
