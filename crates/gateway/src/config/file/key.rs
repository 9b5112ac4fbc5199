//! The `[[provider.key]]` tables.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
#[cfg(feature = "schema")]
use tower_key_rotation::key::Tier;

use crate::config::file::limit::LimitTable;
use crate::config::key_source::KeySecret;
#[cfg(feature = "schema")]
use crate::config::schema::Word;
use crate::config::secret::Reference;
use crate::config::several::Several;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct KeyTable {
    /// Name of the key in logs, metrics and reports.
    ///
    /// Default: the name of the variable, file or source of its secret. Example: `"team-a"`
    pub(in crate::config) id: Option<String>,
    /// The key: `"env:NAME"`, `"file:PATH"` relative to the configuration file, the key itself, or a source that renews
    /// it.
    ///
    /// Example: `"env:TEAM_A_KEY"`
    pub(in crate::config) secret: KeySecret,
    /// Account of the key. Keys of one account share its limits.
    ///
    /// Default: an account of its own. Example: `"org-1"`
    pub(in crate::config) account: Option<String>,
    /// Backup keys are used when no primary key is usable.
    ///
    /// Default: `"primary"`. Example: `"backup"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Tier>>"))]
    pub(in crate::config) tier: Option<String>,
    /// Share of the requests in comparison with the other keys.
    ///
    /// Default: `1`. Example: `3`
    pub(in crate::config) weight: Option<NonZeroU32>,
    /// Base URL of this key: an Azure resource, a region, a relay. The key is sent there and nowhere else.
    ///
    /// Default: that of the provider. Example: `"https://east.openai.azure.com/openai/v1"`
    pub(in crate::config) base_url: Option<String>,
    /// Headers that are set on requests with this key. A value may be a reference to a secret.
    ///
    /// Default: none. Example: `{ openai-organization = "org-1" }`
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, Reference>,
    /// Names under which this key sends models, by the name after the provider's `models`.
    ///
    /// Default: none. Example: `{ "gpt-4o" = "gpt4o-east" }`
    #[serde(default)]
    pub(in crate::config) models: BTreeMap<String, String>,
    /// Models for which the key may be used, after the provider's `models` has renamed them; `*` stands for any text.
    ///
    /// Default: all. Example: `["gpt-4o*"]`
    pub(in crate::config) only_models: Option<Several<String>>,
    /// Models for which the key may not be used.
    ///
    /// Default: none. Example: `"gpt-4o-audio*"`
    pub(in crate::config) except_models: Option<Several<String>>,
    /// Paths at the provider for which the key may be used: a path and all below it, or a pattern with `*`.
    ///
    /// Default: all. Example: `["/v1/chat", "*/responses"]`
    pub(in crate::config) only_endpoints: Option<Several<String>>,
    /// Paths at the provider for which the key may not be used.
    ///
    /// Default: none. Example: `"*/batches*"`
    pub(in crate::config) except_endpoints: Option<Several<String>>,
    /// Maximum number of requests in flight with this key.
    ///
    /// Default: no limit. Example: `8`
    pub(in crate::config) concurrent: Option<NonZeroU32>,
    /// A limit of this key alone. Any number.
    #[serde(default)]
    pub(in crate::config) limit: Vec<LimitTable>,
}

// === impl KeyTable ===

impl KeyTable {
    /// Returns whether the model of a request makes a difference for the key.
    pub(in crate::config) fn is_of_models(&self) -> bool {
        let limits_models = self.limit.iter().any(|limit| limit.model.is_some());
        limits_models || self.only_models.is_some() || self.except_models.is_some()
    }
}
