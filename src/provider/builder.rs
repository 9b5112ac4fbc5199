//! Profiles of your own.

use std::borrow::Cow;
use std::sync::Arc;

use super::dialect::COMMON;
use super::{AuthScheme, ModelPath, Origin, Profile, Provider};

/// Builds a [`Provider`] that is in no list.
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
            model_path: ModelPath::None,
            errors_in_ok_bodies: None,
            dialect: &COMMON,
        };
        Self { provider: Provider(Arc::new(profile)) }
    }

    /// Lets keys go to `origin`; without one they go nowhere.
    pub fn origin(self, origin: Origin) -> Self {
        Self { provider: self.provider.allow_origin(origin) }
    }

    /// How a key is stamped; a bearer token unless said otherwise.
    pub fn auth(mut self, auth: AuthScheme) -> Self {
        self.profile().auth = auth;
        self
    }

    /// What its environment variables begin with: `RELAY` for `RELAY_API_KEY`. Several may be given.
    pub fn env_prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.profile().env_prefixes.push(prefix.into());
        self
    }

    /// Where a path names the model; nowhere unless said otherwise. Bodies are looked at in any case.
    pub fn model_path(mut self, model_path: ModelPath) -> Self {
        self.profile().model_path = model_path;
        self
    }

    /// Whether the body of a 200 that is no event stream may be an error. If so, it is read up to the
    /// [error body limit](crate::KeyRotationLayer::error_body) of the layer, and a classifier of one's own gets
    /// to see it. Default: as [`answers_like`](Self::answers_like) says, or no.
    pub fn errors_in_ok_bodies(mut self, errors: bool) -> Self {
        self.profile().errors_in_ok_bodies = Some(errors);
        self
    }

    /// Reads answers as those of `provider`; without it, by the rules that are true of everybody.
    pub fn answers_like(mut self, provider: &Provider) -> Self {
        self.profile().dialect = provider.0.dialect;
        self
    }

    /// The profile.
    pub fn build(self) -> Provider {
        self.provider
    }

    fn profile(&mut self) -> &mut Profile {
        Arc::make_mut(&mut self.provider.0)
    }
}
