//! The data of a provider.

use std::borrow::Cow;

use crate::provider::dialect::{Dialect, Preset, system};
use crate::provider::{AuthScheme, ModelPath, Origin};

#[derive(Clone)]
pub(super) struct Profile {
    pub(super) name: Cow<'static, str>,
    /// Name of the API in OpenTelemetry's conventions; for a provider that is no preset, its first name.
    pub(super) system: Cow<'static, str>,
    pub(super) origins: Vec<Origin>,
    pub(super) auth: AuthScheme,
    pub(super) env_prefixes: Vec<Cow<'static, str>>,
    pub(super) model_path: ModelPath,
    /// Overrides the setting of the dialect.
    pub(super) errors_in_ok_bodies: Option<bool>,
    pub(super) dialect: &'static Dialect,
}

// === impl Profile ===

impl Profile {
    /// Creates the profile of a preset.
    pub(super) fn of(preset: &Preset) -> Self {
        Self {
            name: Cow::Borrowed(preset.name),
            system: Cow::Borrowed(system(preset.name)),
            origins: preset.origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
            auth: preset.auth.clone(),
            env_prefixes: preset.env_prefixes.iter().copied().map(Cow::Borrowed).collect(),
            model_path: preset.model_path,
            errors_in_ok_bodies: None,
            dialect: preset.dialect,
        }
    }
}
