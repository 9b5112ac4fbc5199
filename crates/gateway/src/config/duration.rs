//! Durations in the file.

use std::time::Duration;

use jiff::SignedDuration;

use crate::config::error::{ConfigError, Problem};
use crate::config::location::ValuePath;

/// Maximum of every duration in the file (1 day). A longer one is a mistake, and may exceed what clocks can
/// add.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Parses a duration, if the file sets one.
pub(super) fn optional(text: Option<String>, at: &ValuePath) -> Result<Option<Duration>, ConfigError> {
    text.map(|text| duration(&text).map_err(|problem| problem.at(at.clone()))).transpose()
}

/// Parses a duration above zero and up to [`LONGEST`].
fn duration(text: &str) -> Result<Duration, Problem> {
    let duration: SignedDuration = text.trim().parse().map_err(|_| Problem::Duration)?;
    let duration = Duration::try_from(duration).map_err(|_| Problem::Duration)?;
    if duration.is_zero() {
        return Err(Problem::Duration);
    }
    if duration > LONGEST { Err(Problem::LongDuration) } else { Ok(duration) }
}
