//! The `[[provider]]` tables.

use std::collections::BTreeMap;

use serde::Deserialize;
#[cfg(feature = "schema")]
use tower_key_rotation::classify::{Reason, Scope};
#[cfg(feature = "schema")]
use tower_key_rotation::pool::Selection;

use crate::config::file::key::KeyTable;
use crate::config::file::limit::LimitTable;
#[cfg(feature = "schema")]
use crate::config::schema::{CloudName, Length, Verdict, Word};
use crate::config::several::{Several, Text};

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct ProviderTable {
    /// Name of the provider in paths, logs, metrics and reports: letters, digits, `-`, `_` and `.`.
    ///
    /// Example: `"openai"`
    pub(in crate::config) name: String,
    /// Name of the preset whose API this is, or `"compatible"` for any other OpenAI-compatible API.
    ///
    /// Default: the preset of the `cloud`, or the one with the provider's name. Example: `"compatible"`
    pub(in crate::config) dialect: Option<String>,
    /// Base URL of the API, with the path below which its endpoints are. Keys are sent to its origin and nowhere else.
    /// With a `cloud`: the origin of a proxy or of a private endpoint.
    ///
    /// Default: that of the `cloud`; required without one, and for Azure. Example: `"https://api.openai.com/v1"`
    pub(in crate::config) base_url: Option<String>,
    /// Cloud whose own paths and members requests get: Claude, GPT or Gemini of a cloud as a provider in the dialects of
    /// Anthropic, OpenAI and Google.
    ///
    /// Default: none. Example: `"vertex"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<CloudName>"))]
    pub(in crate::config) cloud: Option<String>,
    /// Project at Vertex AI.
    ///
    /// Default: the one in `base_url`. Example: `"my-project"`
    pub(in crate::config) project: Option<String>,
    /// Location at Vertex AI: a region, `global`, `us` or `eu`.
    ///
    /// Default: the one in `base_url`. Example: `"us-east5"`
    pub(in crate::config) location: Option<String>,
    /// Region of Bedrock, for which requests are signed.
    ///
    /// Default: none; required for Bedrock. Example: `"us-east-1"`
    pub(in crate::config) region: Option<String>,
    /// Version of Azure's API with deployments in the path.
    ///
    /// Default: none, the API below `/openai/v1`. Example: `"2024-10-21"`
    pub(in crate::config) api_version: Option<String>,
    /// Prefix of environment variables with keys: `OPENAI` finds `OPENAI_API_KEY`, `OPENAI_API_KEY_1`, `OPENAI_API_KEYS`
    /// and so on.
    ///
    /// Default: none, keys are in `[[provider.key]]`. Example: `"OPENAI"`
    pub(in crate::config) keys_env: Option<String>,
    /// The next key among the usable ones.
    ///
    /// Default: that of `[rotation]`. Example: `"in_order"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Selection>>"))]
    pub(in crate::config) selection: Option<String>,
    /// Whether responses show which keys share an account.
    ///
    /// Default: `true`. Example: `false`
    pub(in crate::config) learn_accounts: Option<bool>,
    /// Endpoints that the provider serves: a list of their names, or changes of the preset's list with `+` and `-`.
    ///
    /// Default: those of the preset. Example: `["+rerank", "-images"]`
    pub(in crate::config) endpoints: Option<Vec<String>>,
    /// Path below the base URL of a call that costs nothing and that the provider refuses without a valid key.
    ///
    /// Default: that of the preset or of the cloud, which is the list of models for most. Example: `"/account"`
    pub(in crate::config) check: Option<String>,
    /// The provider's name for a model that a caller names; `"*"` stands for any other model.
    ///
    /// Default: none. Example: `{ "gpt-4o" = "gpt-4o-2024-11-20" }`
    #[serde(default)]
    pub(in crate::config) models: BTreeMap<String, String>,
    /// A limit of each account, which is observed before the provider refuses. Any number; all apply. At least one amount.
    #[serde(default)]
    pub(in crate::config) limit: Vec<LimitTable>,
    /// A rule of your own for responses, before all that is built in. The first rule whose conditions all hold decides.
    /// Any number.
    #[serde(default)]
    pub(in crate::config) rule: Vec<RuleTable>,
    /// A key, in addition to those of `keys_env`. Any number.
    #[serde(default)]
    pub(in crate::config) key: Vec<KeyTable>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct RuleTable {
    /// Name for people.
    ///
    /// Default: none. Example: `"no credit"`
    pub(in crate::config) name: Option<String>,
    // Wider than a status, so that a number that can't be one has its place in the error.
    /// Condition: the status of the response, one of several. Without it, the rule applies to all errors and to no success.
    ///
    /// Default: any error. Example: `[401, 403]`
    pub(in crate::config) status: Option<Several<i64>>,
    /// Condition: code, type or reason of the error, as a whole.
    ///
    /// Default: any. Example: `"insufficient_quota"`
    pub(in crate::config) code: Option<Several<Text>>,
    /// Condition: whole words of the error's message, in any case.
    ///
    /// Default: any. Example: `"billing"`
    pub(in crate::config) says: Option<Several<String>>,
    /// Condition: header of the response, `"x-name"` or `"x-name: value"`.
    ///
    /// Default: any. Example: `"x-error: quota"`
    pub(in crate::config) header: Option<Several<String>>,
    /// Condition: path of the request at the provider, or its beginning; `*` stands for any text.
    ///
    /// Default: any. Example: `"/v1/images"`
    pub(in crate::config) path: Option<Several<String>>,
    /// Verdict: a fault, a response for the caller, or a success.
    ///
    /// Default: `"fault"` if there is a reason. Example: `"deliver"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Verdict>"))]
    pub(in crate::config) verdict: Option<String>,
    /// Reason of the fault.
    ///
    /// Default: none. Example: `"quota_exceeded"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Reason>>"))]
    pub(in crate::config) reason: Option<String>,
    /// The subject of the fault.
    ///
    /// Default: `"key"`, or `"provider"` for a reason that no key causes. Example: `"account"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Scope>>"))]
    pub(in crate::config) scope: Option<String>,
    /// Length of the cooldown, up to a day.
    ///
    /// Default: as the response says. Example: `"1h"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) wait: Option<String>,
    /// End of the cooldown, instead of `wait`: `"midnight"` of the provider, `"midnight utc"`, `"midnight pacific"`, or
    /// `midnight` with a POSIX rule.
    ///
    /// Default: as the response says. Example: `"midnight"`
    pub(in crate::config) until: Option<String>,
}
