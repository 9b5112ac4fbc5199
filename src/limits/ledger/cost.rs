//! The cost of a request, counted against limits.

use crate::limits::Estimate;
use crate::limits::ledger::status::Metric;
use crate::provider::Dimension;

/// The cost of a request: one request, and a number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost(Estimate);

// === impl Cost ===

impl Cost {
    /// One request, without tokens.
    pub(crate) const REQUEST: Self = Self(Estimate::NONE);

    /// The minimum cost of any request. A scope without room for this is closed to every request.
    pub(crate) const LEAST: Self = Self(Estimate { input_tokens: 1, output_tokens: 1 });

    pub(crate) const fn with_tokens(tokens: Estimate) -> Self {
        Self(tokens)
    }

    pub(crate) const fn tokens(&self) -> Estimate {
        self.0
    }

    pub(in crate::limits) fn of(&self, metric: Metric) -> u64 {
        match metric {
            Metric::Concurrent | Metric::Of(Dimension::Requests) => 1,
            Metric::Of(dimension) => self.0.of(dimension),
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::REQUEST
    }
}
