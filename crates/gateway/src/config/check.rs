//! The `[checks]` table: checks of keys on a schedule.

use std::time::Duration;

use http::uri::PathAndQuery;

use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::ChecksTable;
use crate::config::location::ValuePath;

/// The `[checks]` table. `None` is a value that the file does not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSettings {
    pub(crate) every: Option<Duration>,
    pub(crate) confirm_after: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

// === impl CheckSettings ===

impl CheckSettings {
    /// Returns the interval in which each key is checked once; `None` if there is no schedule.
    pub const fn every(&self) -> Option<Duration> {
        self.every
    }

    /// Returns the time between a refusal and the call that confirms it.
    pub const fn confirm_after(&self) -> Option<Duration> {
        self.confirm_after
    }

    /// Returns the maximum time of one call.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn resolve(table: ChecksTable) -> Result<Self, ConfigError> {
        let at = ValuePath::default().field("checks");
        let time = |name, text: Option<String>| duration::optional(text, &at.field(name));
        Ok(Self {
            every: time("every", table.every)?,
            confirm_after: time("confirm_after", table.confirm_after)?,
            timeout: time("timeout", table.timeout)?,
        })
    }
}

/// Checks the path of the call that proves a key.
pub(super) fn path(path: Option<String>, at: &ValuePath) -> Result<Option<String>, ConfigError> {
    match &path {
        Some(text) if !text.starts_with('/') || text.parse::<PathAndQuery>().is_err() => {
            Err(Problem::Path.at(at.clone()))
        }
        _ => Ok(path),
    }
}
