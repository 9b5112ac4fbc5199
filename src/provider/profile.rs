//! The data of a provider.

use std::borrow::Cow;

use http::Uri;

use crate::provider::dialect::{Dialect, system};
use crate::provider::key_call::KeyCall;
use crate::provider::preset::Preset;
use crate::provider::{AuthScheme, Endpoint, Endpoints, ModelPath, Origin, Rule};
use crate::scrub::secret::Secret;

#[derive(Clone)]
pub(super) struct Profile {
    pub(super) name: Cow<'static, str>,
    /// Name of the API in OpenTelemetry's conventions; for a provider that is no preset, its first name.
    pub(super) system: Cow<'static, str>,
    pub(super) origins: Vec<Origin>,
    pub(super) auth: AuthScheme,
    pub(super) env_prefixes: Vec<Cow<'static, str>>,
    pub(super) env_names: Vec<Cow<'static, str>>,
    pub(super) model_path: ModelPath,
    pub(super) endpoints: Endpoints,
    /// Overrides the setting of the dialect.
    pub(super) errors_in_ok_bodies: Option<bool>,
    pub(super) dialect: &'static Dialect,
    /// Rules of the operator, read before the dialect.
    pub(super) rules: Vec<Rule>,
    /// The preset from which this profile was made.
    pub(super) preset: Option<&'static Preset>,
}

// === impl Profile ===

impl Profile {
    /// Creates the profile of a preset.
    pub(super) fn of(preset: &'static Preset) -> Self {
        Self {
            name: Cow::Borrowed(preset.name),
            system: Cow::Borrowed(system(preset.name)),
            origins: preset.origins().filter_map(|origin| origin.parse().ok()).collect(),
            auth: preset.auth.clone(),
            env_prefixes: preset.env_prefixes.iter().copied().map(Cow::Borrowed).collect(),
            env_names: preset.env_names.iter().copied().map(Cow::Borrowed).collect(),
            model_path: preset.model_path,
            endpoints: preset.endpoints,
            errors_in_ok_bodies: None,
            dialect: preset.dialect,
            rules: Vec::new(),
            preset: Some(preset),
        }
    }

    /// Returns how a key is put onto a request to `uri`.
    pub(super) fn auth_at(&self, uri: &Uri, secret: &Secret) -> &AuthScheme {
        if self.dialect.bearer_tokens && secret.is_token() {
            return &AuthScheme::Bearer;
        }
        match self.dialect.bearer_below {
            Some(part) if matches!(self.auth, AuthScheme::Header(_)) && uri.path().contains(part) => {
                &AuthScheme::Bearer
            }
            _ => &self.auth,
        }
    }

    /// See [`Provider::errors_in_ok_bodies`](crate::provider::Provider::errors_in_ok_bodies).
    pub(super) fn errors_in_ok_bodies(&self) -> bool {
        self.errors_in_ok_bodies.unwrap_or(self.dialect.errors_in_ok_bodies)
            || self.rules.iter().any(Rule::reads_success)
    }

    /// Returns the base URL of the preset, if a key may be sent there.
    pub(super) fn base_url(&self) -> Option<&'static str> {
        let url = self.preset?.base_url?;
        let uri: Uri = url.parse().ok()?;
        self.origins.iter().any(|origin| origin.contains(&uri)).then_some(url)
    }

    /// Returns the free call that proves a key; `None` if none is known.
    ///
    /// A provider without a call of its own is asked for its list of models, if it has one. A path that does not exist
    /// could be refused like an invalid key.
    pub(super) fn key_call(&self) -> Option<KeyCall> {
        let own = self.preset.and_then(|preset| preset.key_call);
        own.or_else(|| self.endpoints.contains(Endpoint::Models).then_some(KeyCall::MODELS))
    }
}
