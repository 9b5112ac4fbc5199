//! The `[[caller]]` tables: tokens with a name and limits of their own.

use std::num::NonZeroU64;

use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::limits::ModelPattern;

use crate::config::error::{ConfigError, Problem};
use crate::config::file::CallerTable;
use crate::config::location::ValuePath;
use crate::config::redact::redacted;
use crate::config::secret::{Sources, Token};
use crate::config::text::is_printable;

/// One `[[caller]]` table.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    name: String,
    token: Token,
    models: Vec<ModelPattern>,
    endpoints: Vec<ModelPattern>,
    limits: CallerLimits,
    expires: Option<Timestamp>,
}

/// The limits of one caller. Those of amounts count over the last minute and the last 24 hours. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CallerLimits {
    /// Requests within a minute.
    pub requests_per_minute: Option<NonZeroU64>,
    /// Requests within 24 hours.
    pub requests_per_day: Option<NonZeroU64>,
    /// Tokens within a minute, of prompts and responses.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Tokens within 24 hours.
    pub tokens_per_day: Option<NonZeroU64>,
    /// Share of the requests in flight that the gateway allows, above 0 and up to 1.
    pub share: Option<f64>,
}

// === impl CallerLimits ===

impl CallerLimits {
    /// Returns the maximum number of requests in flight of the caller, at least 1, given that of the gateway.
    pub(crate) fn places_of(&self, all: u32) -> u32 {
        // The share is at most 1.
        self.share.map_or(all, |share| (f64::from(all) * share) as u32).max(1)
    }
}

// === impl CallerSettings ===

impl CallerSettings {
    /// Returns the name, which appears in logs, metrics and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the token.
    pub const fn token(&self) -> &Token {
        &self.token
    }

    /// Returns the models that the caller may name. Empty for all.
    pub fn models(&self) -> &[ModelPattern] {
        &self.models
    }

    /// Returns patterns of the paths that the caller may use. Empty for all.
    pub fn endpoints(&self) -> &[ModelPattern] {
        &self.endpoints
    }

    /// Returns the limits.
    pub const fn limits(&self) -> &CallerLimits {
        &self.limits
    }

    /// Returns the time at which the token expires; `None` if it does not.
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    fn resolve(table: CallerTable, sources: &Sources, at: &ValuePath) -> Result<Self, ConfigError> {
        if table.name.is_empty() || !is_printable(&table.name) {
            return Err(Problem::CallerName.at(at.field("name")));
        }
        let models = patterns(table.models, &at.field("models"), |_| true)?;
        let endpoints =
            patterns(table.endpoints, &at.field("endpoints"), |path| path.starts_with(['/', '*']))?;
        let token = table.token.token(sources, &at.field("token"))?;
        if token.is_in(&table.name) {
            return Err(Problem::SecretInName.at(at.field("name")));
        }
        if table.share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
            return Err(Problem::Share.at(at.field("share")));
        }
        let expires = table.expires.map(|text| expiry(&text).map_err(|it| it.at(at.field("expires"))));
        Ok(Self {
            name: table.name,
            token,
            models,
            endpoints,
            limits: CallerLimits {
                requests_per_minute: table.requests_per_minute,
                requests_per_day: table.requests_per_day,
                tokens_per_minute: table.tokens_per_minute,
                tokens_per_day: table.tokens_per_day,
                share: table.share,
            },
            expires: expires.transpose()?,
        })
    }
}

/// Returns the patterns of a list, which is not empty. Without a list there are none.
fn patterns(
    list: Option<Vec<String>>,
    at: &ValuePath,
    is_valid: fn(&str) -> bool,
) -> Result<Vec<ModelPattern>, ConfigError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    if list.is_empty() {
        return Err(Problem::EmptyPatterns.at(at.clone()));
    }
    match list.iter().position(|pattern| !is_valid(pattern)) {
        Some(index) => Err(Problem::CallerEndpoint.at(at.index(index))),
        None => Ok(list.into_iter().map(ModelPattern::from).collect()),
    }
}

/// Checks that no token of a caller is that of another caller, or one of the `others`: it would open more than its table
/// says.
pub(super) fn check_tokens(
    callers: &[CallerSettings],
    others: [Option<&Token>; 2],
) -> Result<(), ConfigError> {
    let mut known: Vec<&Token> = others.into_iter().flatten().collect();
    for (index, caller) in callers.iter().enumerate() {
        if known.iter().any(|token| token.is_same(&caller.token)) {
            return Err(
                Problem::SharedToken.at(ValuePath::default().field("caller").index(index).field("token"))
            );
        }
        known.push(&caller.token);
    }
    Ok(())
}

/// Returns the callers of a file, whose names differ.
pub(super) fn callers(
    tables: Vec<CallerTable>,
    sources: &Sources,
) -> Result<Vec<CallerSettings>, ConfigError> {
    let root = ValuePath::default().field("caller");
    let mut callers: Vec<CallerSettings> = Vec::with_capacity(tables.len());
    for (index, table) in tables.into_iter().enumerate() {
        let at = root.index(index);
        if callers.iter().any(|caller| caller.name == table.name) {
            let name = redacted(&table.name).into_owned();
            return Err(Problem::DuplicateCaller { name }.at(at.field("name")));
        }
        callers.push(CallerSettings::resolve(table, sources, &at)?);
    }
    Ok(callers)
}

/// Parses a point in time, or a date, which means its beginning in UTC.
fn expiry(text: &str) -> Result<Timestamp, Problem> {
    let text = text.trim();
    let midnight = format!("{text}T00:00:00Z");
    let at: jiff::Timestamp = text.parse().or_else(|_| midnight.parse()).map_err(|_| Problem::Expiry)?;
    u64::try_from(at.as_millisecond()).map(Timestamp::from_unix_ms).map_err(|_| Problem::Expiry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_a_date() {
        let date = expiry("2027-01-01").unwrap();
        assert_eq!(date, expiry("2027-01-01T00:00:00Z").unwrap());
        assert_eq!(date, expiry("2027-01-01T01:00:00+01:00").unwrap());
        assert!(expiry("soon").is_err() && expiry("1960-01-01").is_err());
    }
}
