//! Lengths of time in the file.

use std::time::Duration;

use jiff::SignedDuration;

use super::error::{ConfigError, Problem};
use super::place::Steps;

/// Upper bound on every length of time in the file: a day. A longer one is a slip of the pen, and far beyond what
/// clocks can add up.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A length of time, if the file gives one.
pub(super) fn optional(text: Option<String>, at: &Steps) -> Result<Option<Duration>, ConfigError> {
    text.map(|text| duration(&text).map_err(|problem| problem.at(at.clone()))).transpose()
}

/// A length of time above zero and up to [`LONGEST`].
fn duration(text: &str) -> Result<Duration, Problem> {
    let duration: SignedDuration = text.trim().parse().map_err(|_| Problem::Duration)?;
    let duration = Duration::try_from(duration).map_err(|_| Problem::Duration)?;
    if duration.is_zero() {
        return Err(Problem::Duration);
    }
    if duration > LONGEST { Err(Problem::LongDuration) } else { Ok(duration) }
}
