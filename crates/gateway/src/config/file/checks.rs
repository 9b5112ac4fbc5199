//! The `[checks]` table.

use serde::Deserialize;

#[cfg(feature = "schema")]
use crate::config::schema::Length;

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct ChecksTable {
    /// Time in which each key is checked once, at a random moment.
    ///
    /// Default: none, keys are checked on demand only. Example: `"10m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) every: Option<String>,
    /// Time between a refusal of a key and the call that confirms it.
    ///
    /// Default: `"5s"`. Example: `"30s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) confirm_after: Option<String>,
    /// Maximum time of one call.
    ///
    /// Default: `"10s"`. Example: `"30s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) timeout: Option<String>,
}
