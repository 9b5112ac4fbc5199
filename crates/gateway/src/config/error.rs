//! Errors of configurations.
//!
//! No error shows a value that might be a secret: names are shown if they are short and do not look like
//! keys, and are replaced by `[withheld]` otherwise. The errors of the parsers quote the whole line, so
//! values are removed from their text and they are not kept as sources.

use std::fmt;

use crate::config::location::{Location, ValuePath};
pub use crate::config::problem::Problem;

/// A configuration that cannot be used: the [problem](Problem) and its [place](Location).
///
/// It is displayed as one line that begins with the location: `gateway.toml:12:8: provider[1].base_url: …`. It
/// never contains a secret.
pub struct ConfigError(Box<Inner>);

struct Inner {
    location: Location,
    problem: Problem,
}

// === impl ConfigError ===

impl ConfigError {
    pub(super) fn new(location: Location, problem: Problem) -> Self {
        Self(Box::new(Inner { location, problem }))
    }

    /// Returns the place of the problem.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// Returns the problem.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    pub(super) fn location_mut(&mut self) -> &mut Location {
        &mut self.0.location
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { location, problem } = &*self.0;
        write!(f, "{location}: {problem}")
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { location, problem } = &*self.0;
        f.debug_struct("ConfigError").field("location", location).field("problem", problem).finish()
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}

impl Problem {
    pub(super) fn at(self, path: ValuePath) -> ConfigError {
        ConfigError::new(Location { path, ..Location::default() }, self)
    }
}
