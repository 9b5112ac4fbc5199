//! The `[[alert]]` tables.

use std::num::NonZeroU32;

use serde::Deserialize;

#[cfg(feature = "schema")]
use crate::config::schema::{AlertFormat, AlertRule, Length};
use crate::config::secret::Reference;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct AlertTable {
    /// Name for logs.
    ///
    /// Default: the format. Example: `"chat"`
    pub(in crate::config) name: Option<String>,
    /// URL that gets the messages by POST. It counts as a secret.
    ///
    /// Example: `"env:SLACK_WEBHOOK"`
    pub(in crate::config) url: Reference,
    /// Shape of the messages.
    ///
    /// Default: `"json"`. Example: `"slack"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<AlertFormat>"))]
    pub(in crate::config) format: Option<String>,
    /// Secret that signs messages, in the header `x-signature-256`. For PagerDuty, its routing key.
    ///
    /// Default: none. Example: `"env:ALERT_SECRET"`
    pub(in crate::config) secret: Option<Reference>,
    /// Incidents that cause a message: no usable key, a key refused as invalid, a provider left out, a store of the state
    /// that fails.
    ///
    /// Default: `["exhausted", "key_invalid", "breaker", "state_lost"]`. Example: `["exhausted"]`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<AlertRule>>"))]
    pub(in crate::config) on: Option<Vec<String>>,
    /// Used share of a limit, from 0 to 1, that is an incident too.
    ///
    /// Default: none. Example: `0.9`
    pub(in crate::config) quota: Option<f64>,
    /// Number of rotations at one provider within a minute above which it is an incident too.
    ///
    /// Default: none. Example: `60`
    pub(in crate::config) rotations_per_minute: Option<NonZeroU32>,
    /// Time for which further incidents are collected into one message.
    ///
    /// Default: `"2s"`. Example: `"30s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) group_wait: Option<String>,
}
