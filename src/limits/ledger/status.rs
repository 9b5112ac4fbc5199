//! The status of a limit, for reporting only.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::provider::{Dimension, Window};

/// The metric that a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Requests in flight.
    Concurrent,
    /// Requests or tokens over a window.
    #[serde(untagged)]
    Of(Dimension),
}

/// The origin of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitSource {
    /// The limit was declared by an operator.
    Declared,
    /// The limit was learned from responses.
    Learned,
}

/// The status of a limit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitStatus {
    /// The metric that the limit counts.
    pub metric: Metric,
    /// The window over which the limit counts; `None` for limits without a window or with an unknown one.
    pub window: Option<Window>,
    /// The origin of the limit.
    pub source: LimitSource,
    /// The maximum amount, in the unit of [`metric`](Self::metric).
    pub limit: u64,
    /// The amount that is left now. Requests in flight are subtracted.
    pub remaining: u64,
    /// The time at which the whole amount is available again if nothing more is taken. `None` if it is
    /// available now, or if the limit does not depend on time.
    pub full_at: Option<Timestamp>,
}

/// A limit whose use has crossed a warning threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alarm {
    /// The threshold that was crossed, as a fraction of the limit.
    pub(crate) share: f64,
    pub(crate) status: LimitStatus,
}

// === impl Metric ===

impl Metric {
    pub(in crate::limits) const fn is_tokens(self) -> bool {
        matches!(self, Self::Of(dimension) if dimension.is_tokens())
    }

    /// Returns the name in logs and snapshots.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrent => "concurrent",
            Self::Of(dimension) => dimension.as_str(),
        }
    }
}

// === impl LimitStatus ===

impl LimitStatus {
    /// Returns the fraction of the limit that is used, from 0 to 1. A limit of zero is fully used.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn used_share(&self) -> f64 {
        if self.limit == 0 {
            return 1.0;
        }
        self.limit.saturating_sub(self.remaining) as f64 / self.limit as f64
    }
}
