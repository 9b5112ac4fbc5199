//! The `[rotation]` table, which sets how keys are chosen.

use http::HeaderName;

use crate::config::chain::choice;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::RotationTable;
use crate::config::location::ValuePath;
use tower_key_rotation::pool::{KeyPoolBuilder, Selection};
use tower_key_rotation::provider::CREDENTIAL_HEADERS;

/// Settings for all providers. A provider may have a selection of its own.
pub(super) struct Rotation {
    selection: Selection,
    pub(super) affinity_header: Option<HeaderName>,
    /// `None` keeps the default of the pool.
    pub(super) warn_at: Option<Vec<f64>>,
}

/// Headers that HTTP, the layers or the providers need on a request.
const USED: [&str; 29] = [
    "accept",
    "accept-encoding",
    "anthropic-beta",
    "anthropic-version",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "origin",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-commit",
    "x-goog-user-project",
];

/// Maximum number of warning thresholds (8), as in a pool.
const MAX_SHARES: usize = 8;

// === impl Rotation ===

impl Rotation {
    pub(super) fn resolve(table: RotationTable) -> Result<Self, ConfigError> {
        let RotationTable { selection, affinity_header, warn_at } = table;
        let at = ValuePath::default().field("rotation");
        let header = |name: String| header(&name).map_err(|problem| problem.at(at.field("affinity_header")));
        check(warn_at.as_deref().unwrap_or_default(), &at.field("warn_at"))?;
        Ok(Self {
            selection: choice(selection.as_deref(), &at.field("selection"))?,
            affinity_header: affinity_header.map(header).transpose()?,
            warn_at,
        })
    }

    /// Returns the settings that concern pools.
    pub(super) fn of_pools(&self) -> (Selection, Option<Vec<f64>>) {
        (self.selection, self.warn_at.clone())
    }

    /// Adds warning thresholds that alerts need.
    pub(super) fn also_warn_at(&mut self, shares: impl Iterator<Item = f64>) {
        for share in shares {
            self.warn_at.get_or_insert_with(|| KeyPoolBuilder::WARN_AT.to_vec()).push(share);
        }
    }

    /// Returns the selection of a provider: its own setting, or the one for all providers.
    pub(super) fn selection(&self, own: Option<&str>, at: &ValuePath) -> Result<Selection, ConfigError> {
        match own {
            None => Ok(self.selection),
            own => choice(own, at),
        }
    }
}

/// Parses the name of a header that may be removed from requests.
fn header(name: &str) -> Result<HeaderName, Problem> {
    let header: HeaderName = name.parse().map_err(|_| Problem::HeaderName)?;
    if USED.iter().any(|used| header == *used) || CREDENTIAL_HEADERS.contains(&header) {
        return Err(Problem::ReservedHeader { name: header });
    }
    Ok(header)
}

fn check(shares: &[f64], at: &ValuePath) -> Result<(), ConfigError> {
    if shares.len() > MAX_SHARES {
        return Err(Problem::Share.at(at.clone()));
    }
    match shares.iter().position(|share| !(*share > 0.0 && *share <= 1.0)) {
        Some(wrong) => Err(Problem::Share.at(at.index(wrong))),
        None => Ok(()),
    }
}
