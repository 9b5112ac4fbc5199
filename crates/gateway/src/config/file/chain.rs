//! The `[chain]` table.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;
#[cfg(feature = "schema")]
use tower_key_rotation::fallback::{Commit, ContextLength, Start};

#[cfg(feature = "schema")]
use crate::config::schema::{Length, Word};

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct ChainTable {
    /// Names of providers in order of preference. A provider that is not listed is used by its own path only.
    ///
    /// Default: all providers, in the order of the file. Example: `["openai"]`
    pub(in crate::config) order: Option<Vec<String>>,
    /// The provider that a request is sent to first: always the first one, or each in turn.
    ///
    /// Default: `"ordered"`. Example: `"round_robin"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Start>>"))]
    pub(in crate::config) start: Option<String>,
    /// Maximum time from a request to the commit of its response, over all attempts.
    ///
    /// Default: no limit. Example: `"10m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) deadline: Option<String>,
    /// Maximum time for the head of a response, for each attempt, from the end of the request's body. A time that is
    /// too short for a model sends the request to another provider as well, and both are paid.
    ///
    /// Default: no limit. Example: `"5m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) head_timeout: Option<String>,
    /// Maximum time between the head of a stream and its first content. Without a limit, the chain commits to a stream
    /// after 10 s, 64 KiB or 200 events without content.
    ///
    /// Default: no limit. Example: `"5m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) first_content_timeout: Option<String>,
    /// Maximum pause in a stream after its commit.
    ///
    /// Default: no limit. Example: `"2m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) idle_timeout: Option<String>,
    /// Point from which a response belongs to the caller, after which the request is not sent again. The request header
    /// `x-commit` sets it for one request.
    ///
    /// Default: `"first_content"`. Example: `"complete"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Commit>>"))]
    pub(in crate::config) commit: Option<String>,
    /// Action for a request that is too long for a provider's model: deliver the refusal, or call the next provider.
    ///
    /// Default: `"deliver"`. Example: `"fall_over"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<ContextLength>>"))]
    pub(in crate::config) context_length: Option<String>,
    /// Maximum number of attempts of one request, over all providers.
    ///
    /// Default: `16`. Example: `8`
    pub(in crate::config) max_attempts: Option<NonZeroU32>,
    /// Shortest delay before a provider's fault is retried.
    ///
    /// Default: `"100ms"`. Example: `"50ms"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) backoff: Option<String>,
    /// Longest delay before a provider's fault is retried.
    ///
    /// Default: `"500ms"`. Example: `"2s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) max_backoff: Option<String>,
    /// Whether a request goes on to the next provider although this one may have executed it, which may be paid twice.
    ///
    /// Default: `true`. Example: `false`
    pub(in crate::config) resend_ambiguous: Option<bool>,
    /// Whether a request waits for a key when no provider is usable and the wait fits its deadline.
    ///
    /// Default: `true`. Example: `false`
    pub(in crate::config) wait_for_key: Option<bool>,
    /// Maximum wait, as a provider states it, for which a request stays with that provider.
    ///
    /// Default: none, the next provider is called at once. Example: `"3s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) patience: Option<String>,
    /// Maximum number of bytes of a response that are held back before its commit.
    ///
    /// Default: `8_388_608`. Example: `1_048_576`
    pub(in crate::config) complete_cap: Option<NonZeroU64>,
    /// The models that `GET /v1/models` lists: `"union"` for those of all providers of the chain, under the names that
    /// callers may use, or the name of one provider.
    ///
    /// Default: `"union"`. Example: `"openai"`
    pub(in crate::config) models: Option<String>,
    /// Time limits for some models, in place of those above; any number. The first pattern that matches the model applies.
    #[serde(default)]
    pub(in crate::config) timeouts: Vec<TimeoutsTable>,
    /// When a provider is left out for a while.
    #[serde(default)]
    pub(in crate::config) breaker: BreakerTable,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct TimeoutsTable {
    /// Models, by the name that the provider gets; `*` stands for any text.
    ///
    /// Example: `["o*", "*-thinking"]`
    pub(in crate::config) models: Vec<String>,
    /// Maximum time for the head of a response, for each attempt.
    ///
    /// Default: that of the chain. Example: `"15m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) head_timeout: Option<String>,
    /// Maximum time between the head of a stream and its first content.
    ///
    /// Default: that of the chain. Example: `"15m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) first_content_timeout: Option<String>,
    /// Maximum pause in a stream after its commit.
    ///
    /// Default: that of the chain. Example: `"5m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) idle_timeout: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct BreakerTable {
    /// Whether a provider that fails is left out at all.
    ///
    /// Default: `true`. Example: `false`
    pub(in crate::config) enabled: Option<bool>,
    /// Number of faults in a row after which the provider is left out.
    ///
    /// Default: `5`. Example: `3`
    pub(in crate::config) consecutive: Option<NonZeroU32>,
    /// Percentage of failed calls in the window from which the provider is left out, up to 100.
    ///
    /// Default: `50`. Example: `25`
    pub(in crate::config) percent: Option<NonZeroU32>,
    /// Minimum number of calls in the window for `percent` to count.
    ///
    /// Default: `20`. Example: `10`
    pub(in crate::config) of_calls: Option<NonZeroU32>,
    /// Window of `percent`.
    ///
    /// Default: `"30s"`. Example: `"1m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) window: Option<String>,
    /// Time until a single request probes the provider. It doubles with each failed probe.
    ///
    /// Default: `"1s"`. Example: `"2s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) open: Option<String>,
    /// Longest time until the next probe.
    ///
    /// Default: `"15s"`, or `open` if that is longer. Example: `"30s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) max_open: Option<String>,
}
