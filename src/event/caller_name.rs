//! The name of a request's caller, for its events.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A request extension: the name of the caller, which the events of the request repeat: its rotations, its fallbacks, and
/// its failure.
///
/// It changes nothing else. A program that serves several callers sees whose requests rotate. The name is shown in
/// logs, so it must not be a secret.
///
/// ```
/// use tower_key_rotation::event::CallerName;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(CallerName::new("search"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CallerName(Arc<str>);

// === impl CallerName ===

impl CallerName {
    /// Creates the name of a caller.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
