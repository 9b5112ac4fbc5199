//! What a request takes of the limits.

use super::Estimate;
use super::reading::Counted;
use crate::provider::Dimension;

/// What a request takes of the limits: one request, and so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need(Estimate);

// === impl Need ===

impl Need {
    /// One request, its tokens not counted.
    pub(crate) const REQUEST: Self = Self(Estimate::NONE);

    /// Less than any request needs: a scope that has not even this is closed to all.
    pub(crate) const LEAST: Self = Self(Estimate { input_tokens: 1, output_tokens: 1 });

    pub(crate) const fn with_tokens(tokens: Estimate) -> Self {
        Self(tokens)
    }

    pub(crate) const fn tokens(&self) -> Estimate {
        self.0
    }

    pub(super) fn of(&self, counted: Counted) -> u64 {
        match counted {
            Counted::Concurrent | Counted::Of(Dimension::Requests) => 1,
            Counted::Of(dimension) => self.0.of(dimension),
        }
    }
}

impl Default for Need {
    fn default() -> Self {
        Self::REQUEST
    }
}
