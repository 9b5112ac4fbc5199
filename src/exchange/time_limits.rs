//! The time limits of a chain for one model.

use std::time::Duration;

use crate::exchange::inspect::Limits;

/// The time limits of a chain for one model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    /// Maximum time to the head of a response.
    pub(crate) head: Option<Duration>,
    /// Maximum pause in a response.
    pub(crate) idle: Option<Duration>,
    /// The limits for inspecting a response, among them the time to its first content.
    pub(crate) inspect: Limits,
}
