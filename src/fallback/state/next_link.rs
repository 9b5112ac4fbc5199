//! The next turn of a link.

use std::time::Duration;

/// The next turn of a link.
#[derive(Clone, Copy, Debug)]
pub(in crate::fallback) struct NextLink {
    pub(in crate::fallback) link: usize,
    /// Delay before the turn.
    pub(in crate::fallback) after: Duration,
    /// Maximum time that the link may wait for a key. Zero: it may not wait.
    pub(in crate::fallback) longest_wait: Duration,
    /// Whether this turn is due to the chain's patience with the link.
    pub(in crate::fallback) is_patient: bool,
}

// === impl NextLink ===

impl NextLink {
    /// Creates a turn without a delay.
    pub(in crate::fallback) const fn to(link: usize) -> Self {
        Self { link, after: Duration::ZERO, longest_wait: Duration::ZERO, is_patient: false }
    }
}
