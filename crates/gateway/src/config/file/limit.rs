//! The `[[provider.limit]]` and `[[provider.key.limit]]` tables.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct LimitTable {
    /// Applies to each model with such a name, after `models` has renamed it; `*` stands for any text.
    ///
    /// Default: all models together. Example: `"gpt-4o*"`
    pub(in crate::config) model: Option<String>,
    /// Applies to this account only, which a `[[provider.key]]` must name. Not for limits of one key.
    ///
    /// Default: each account. Example: `"org-1"`
    pub(in crate::config) account: Option<String>,
    /// Requests per second, evenly spaced unless there is a `burst`.
    ///
    /// Default: no limit. Example: `5`
    pub(in crate::config) requests_per_second: Option<NonZeroU64>,
    /// Requests per minute, all at once or as many as `burst`.
    ///
    /// Default: no limit. Example: `500`
    pub(in crate::config) requests_per_minute: Option<NonZeroU64>,
    /// Requests per day. The day begins as `reset` says.
    ///
    /// Default: no limit. Example: `10_000`
    pub(in crate::config) requests_per_day: Option<NonZeroU64>,
    /// Tokens per second, of prompts and responses.
    ///
    /// Default: no limit. Example: `1_000`
    pub(in crate::config) tokens_per_second: Option<NonZeroU64>,
    /// Tokens per minute, of prompts and responses.
    ///
    /// Default: no limit. Example: `200_000`
    pub(in crate::config) tokens_per_minute: Option<NonZeroU64>,
    /// Tokens per day, of prompts and responses.
    ///
    /// Default: no limit. Example: `2_000_000`
    pub(in crate::config) tokens_per_day: Option<NonZeroU64>,
    /// Tokens of prompts per second.
    ///
    /// Default: no limit. Example: `1_000`
    pub(in crate::config) input_tokens_per_second: Option<NonZeroU64>,
    /// Tokens of prompts per minute.
    ///
    /// Default: no limit. Example: `250_000`
    pub(in crate::config) input_tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of prompts per day.
    ///
    /// Default: no limit. Example: `2_000_000`
    pub(in crate::config) input_tokens_per_day: Option<NonZeroU64>,
    /// Tokens of responses per second.
    ///
    /// Default: no limit. Example: `500`
    pub(in crate::config) output_tokens_per_second: Option<NonZeroU64>,
    /// Tokens of responses per minute.
    ///
    /// Default: no limit. Example: `30_000`
    pub(in crate::config) output_tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of responses per day.
    ///
    /// Default: no limit. Example: `1_000_000`
    pub(in crate::config) output_tokens_per_day: Option<NonZeroU64>,
    /// Requests in flight.
    ///
    /// Default: no limit. Example: `4`
    pub(in crate::config) concurrent: Option<NonZeroU32>,
    /// Amount that is available at once, for limits per second or per minute.
    ///
    /// Default: one for limits per second, the whole amount for limits per minute. Example: `50`
    pub(in crate::config) burst: Option<NonZeroU64>,
    /// Beginning of the day for limits per day: midnight in `"utc"`, in `"pacific"` or by a POSIX rule such as
    /// `"CET-1CEST,M3.5.0,M10.5.0/3"`, or `"rolling"` for a limit that refills evenly.
    ///
    /// Default: the provider's midnight. Example: `"utc"`
    pub(in crate::config) reset: Option<String>,
}
