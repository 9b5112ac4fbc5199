//! The `[[caller]]` tables.

use std::num::NonZeroU64;

use serde::Deserialize;

use crate::config::secret::Reference;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct CallerTable {
    /// Name of the caller in logs, metrics and reports.
    ///
    /// Example: `"search"`
    pub(in crate::config) name: String,
    /// Token of the caller, at least 8 characters.
    ///
    /// Example: `"env:SEARCH_TOKEN"`
    pub(in crate::config) token: Reference,
    /// Models that the caller may name; `*` stands for any text.
    ///
    /// Default: all. Example: `["gpt-4o*"]`
    pub(in crate::config) models: Option<Vec<String>>,
    /// Paths that the caller may use; `*` stands for any text.
    ///
    /// Default: all. Example: `["/v1/chat/*", "/v1/models"]`
    pub(in crate::config) endpoints: Option<Vec<String>>,
    /// Maximum number of requests in the last minute.
    ///
    /// Default: no limit. Example: `60`
    pub(in crate::config) requests_per_minute: Option<NonZeroU64>,
    /// Maximum number of requests in the last 24 hours.
    ///
    /// Default: no limit. Example: `10_000`
    pub(in crate::config) requests_per_day: Option<NonZeroU64>,
    /// Maximum number of tokens in the last minute, of prompts and responses. They are estimated where a response does not
    /// report them, as streams of OpenAI without `include_usage`.
    ///
    /// Default: no limit. Example: `100_000`
    pub(in crate::config) tokens_per_minute: Option<NonZeroU64>,
    /// Maximum number of tokens in the last 24 hours, of prompts and responses. They are estimated as those per minute.
    ///
    /// Default: no limit. Example: `2_000_000`
    pub(in crate::config) tokens_per_day: Option<NonZeroU64>,
    /// Share of `max_requests` in `[server]` that may be requests of the caller, above 0 and up to 1.
    ///
    /// Default: `1.0`. Example: `0.25`
    pub(in crate::config) share: Option<f64>,
    /// End of the token: a date, which means its beginning in UTC, or a time such as `2027-01-31T12:00:00Z`.
    ///
    /// Default: never. Example: `"2027-01-31"`
    pub(in crate::config) expires: Option<String>,
}
