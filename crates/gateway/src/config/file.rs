//! The unchecked content of a configuration file.
//!
//! Values that serde would quote in an error are plain text here. They are checked later, so that an error
//! names their place and not their content.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

use crate::config::key_source::KeySecret;
use crate::config::secret::Reference;
use crate::config::several::{Several, Text};

/// The content of a configuration file in any format; see the [module docs](super).
///
/// It can be a part of a larger file, since it implements `Deserialize`.
/// [`Loader::resolve`](crate::config::Loader::resolve) turns it into a [`Config`](crate::config::Config). It may hold secrets
/// and cannot be serialized.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ConfigFile {
    pub(super) listen: Option<String>,
    pub(super) token: Option<Reference>,
    pub(super) state_file: Option<String>,
    pub(super) redis: Option<RedisTable>,
    #[serde(default)]
    pub(super) chain: ChainTable,
    #[serde(default)]
    pub(super) rotation: RotationTable,
    #[serde(default)]
    pub(super) server: ServerTable,
    #[serde(default)]
    pub(super) cors: CorsTable,
    #[serde(default)]
    pub(super) status: StatusTable,
    #[serde(default)]
    pub(super) alert: Vec<AlertTable>,
    #[serde(default)]
    pub(super) caller: Vec<CallerTable>,
    #[serde(default)]
    pub(super) provider: Vec<ProviderTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RedisTable {
    pub(super) url: Reference,
    pub(super) prefix: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ChainTable {
    pub(super) order: Option<Vec<String>>,
    pub(super) start: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) head_timeout: Option<String>,
    pub(super) first_content_timeout: Option<String>,
    pub(super) idle_timeout: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) context_length: Option<String>,
    pub(super) max_attempts: Option<NonZeroU32>,
    pub(super) backoff: Option<String>,
    pub(super) max_backoff: Option<String>,
    pub(super) resend_ambiguous: Option<bool>,
    pub(super) wait_for_key: Option<bool>,
    pub(super) patience: Option<String>,
    pub(super) complete_cap: Option<NonZeroU64>,
    pub(super) models: Option<String>,
    #[serde(default)]
    pub(super) breaker: BreakerTable,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BreakerTable {
    pub(super) enabled: Option<bool>,
    pub(super) consecutive: Option<NonZeroU32>,
    pub(super) percent: Option<NonZeroU32>,
    pub(super) of_calls: Option<NonZeroU32>,
    pub(super) window: Option<String>,
    pub(super) open: Option<String>,
    pub(super) max_open: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ServerTable {
    pub(super) head_timeout: Option<String>,
    pub(super) body_timeout: Option<String>,
    pub(super) write_timeout: Option<String>,
    pub(super) shutdown_timeout: Option<String>,
    pub(super) max_connections: Option<NonZeroU32>,
    pub(super) max_requests: Option<NonZeroU32>,
    pub(super) hosts: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct StatusTable {
    pub(super) operator_token: Option<Reference>,
    pub(super) required: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AlertTable {
    pub(super) name: Option<String>,
    pub(super) url: Reference,
    pub(super) format: Option<String>,
    pub(super) secret: Option<Reference>,
    pub(super) on: Option<Vec<String>>,
    pub(super) quota: Option<f64>,
    pub(super) rotations_per_minute: Option<NonZeroU32>,
    pub(super) group_wait: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct CallerTable {
    pub(super) name: String,
    pub(super) token: Reference,
    #[serde(default)]
    pub(super) models: Vec<String>,
    #[serde(default)]
    pub(super) endpoints: Vec<String>,
    pub(super) requests_per_minute: Option<NonZeroU64>,
    pub(super) requests_per_day: Option<NonZeroU64>,
    pub(super) tokens_per_minute: Option<NonZeroU64>,
    pub(super) tokens_per_day: Option<NonZeroU64>,
    pub(super) expires: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct CorsTable {
    pub(super) origins: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RotationTable {
    pub(super) selection: Option<String>,
    pub(super) affinity_header: Option<String>,
    pub(super) warn_at: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ProviderTable {
    pub(super) name: String,
    pub(super) dialect: Option<String>,
    pub(super) base_url: String,
    pub(super) keys_env: Option<String>,
    pub(super) selection: Option<String>,
    pub(super) learn_accounts: Option<bool>,
    pub(super) endpoints: Option<Vec<String>>,
    #[serde(default)]
    pub(super) models: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) limit: Vec<LimitTable>,
    #[serde(default)]
    pub(super) rule: Vec<RuleTable>,
    #[serde(default)]
    pub(super) key: Vec<KeyTable>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RuleTable {
    pub(super) name: Option<String>,
    /// Wider than a status, so that a number that can't be one has its place in the error.
    pub(super) status: Option<Several<i64>>,
    pub(super) code: Option<Several<Text>>,
    pub(super) says: Option<Several<String>>,
    pub(super) header: Option<Several<String>>,
    pub(super) path: Option<Several<String>>,
    pub(super) verdict: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) wait: Option<String>,
    pub(super) until: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct KeyTable {
    pub(super) id: Option<String>,
    pub(super) secret: KeySecret,
    pub(super) account: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) weight: Option<NonZeroU32>,
    pub(super) base_url: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Reference>,
    #[serde(default)]
    pub(super) models: BTreeMap<String, String>,
    pub(super) only_models: Option<Several<String>>,
    pub(super) except_models: Option<Several<String>>,
    pub(super) only_endpoints: Option<Several<String>>,
    pub(super) except_endpoints: Option<Several<String>>,
    pub(super) concurrent: Option<NonZeroU32>,
    #[serde(default)]
    pub(super) limit: Vec<LimitTable>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LimitTable {
    pub(super) model: Option<String>,
    pub(super) account: Option<String>,
    pub(super) requests_per_second: Option<NonZeroU64>,
    pub(super) requests_per_minute: Option<NonZeroU64>,
    pub(super) requests_per_day: Option<NonZeroU64>,
    pub(super) tokens_per_second: Option<NonZeroU64>,
    pub(super) tokens_per_minute: Option<NonZeroU64>,
    pub(super) tokens_per_day: Option<NonZeroU64>,
    pub(super) input_tokens_per_second: Option<NonZeroU64>,
    pub(super) input_tokens_per_minute: Option<NonZeroU64>,
    pub(super) input_tokens_per_day: Option<NonZeroU64>,
    pub(super) output_tokens_per_second: Option<NonZeroU64>,
    pub(super) output_tokens_per_minute: Option<NonZeroU64>,
    pub(super) output_tokens_per_day: Option<NonZeroU64>,
    pub(super) concurrent: Option<NonZeroU32>,
    pub(super) burst: Option<NonZeroU64>,
    pub(super) reset: Option<String>,
}

// === impl KeyTable ===

impl KeyTable {
    /// Returns whether the model of a request makes a difference for the key.
    pub(super) fn is_of_models(&self) -> bool {
        let limits_models = self.limit.iter().any(|limit| limit.model.is_some());
        limits_models || self.only_models.is_some() || self.except_models.is_some()
    }
}
