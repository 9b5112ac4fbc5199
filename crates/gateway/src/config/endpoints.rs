//! The endpoints of a provider.

use tower_key_rotation::UnknownWord;
use tower_key_rotation::provider::{Endpoint, Endpoints};

use crate::config::error::{ConfigError, Problem};
use crate::config::location::ValuePath;

/// Reads a list of endpoints. A list whose words all begin with `+` or `-` changes the default; any other list replaces
/// it.
pub(super) fn endpoints(
    words: Option<&[String]>,
    default: Endpoints,
    at: &ValuePath,
) -> Result<Endpoints, ConfigError> {
    let Some(words) = words else { return Ok(default) };
    let changes = !words.is_empty() && words.iter().all(|word| word.starts_with(['+', '-']));
    let mut endpoints = if changes { default } else { Endpoints::NONE };
    for (index, word) in words.iter().enumerate() {
        let endpoint = word.trim_start_matches(['+', '-']).parse::<Endpoint>();
        let unknown = |error: UnknownWord| Problem::Choice { allowed: error.allowed() }.at(at.index(index));
        let endpoint = endpoint.map_err(unknown)?;
        endpoints =
            if word.starts_with('-') { endpoints.without(endpoint) } else { endpoints.with(endpoint) };
    }
    Ok(endpoints)
}
