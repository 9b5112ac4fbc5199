//! What a gauge shows, for people.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::provider::{Dimension, Window};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Counted {
    /// Requests under way.
    Concurrent,
    /// Requests or tokens over a window.
    #[serde(untagged)]
    Of(Dimension),
}

/// How a limit came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// An operator said so.
    Declared,
    /// Answers said so.
    Learned,
}

/// A limit and what is left of it, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reading {
    /// What is counted.
    pub counted: Counted,
    /// Over which window; `None` for what has none.
    pub window: Option<Window>,
    /// How the limit came to be known.
    pub source: Source,
    /// How much there is at most.
    pub limit: u64,
    /// How much is left now, what is in flight taken off.
    pub remaining: u64,
    /// When all of it is there again, if nothing more is taken; `None` if that is now, or no matter of time.
    pub full_at: Option<Timestamp>,
}

/// A limit of which a share is used up that somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alarm {
    /// The share that was crossed.
    pub(crate) share: f64,
    pub(crate) reading: Reading,
}

// === impl Counted ===

impl Counted {
    pub(super) const fn is_tokens(self) -> bool {
        matches!(self, Self::Of(dimension) if dimension.is_tokens())
    }

    /// The name in logs and snapshots.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrent => "concurrent",
            Self::Of(dimension) => dimension.as_str(),
        }
    }
}

// === impl Reading ===

impl Reading {
    /// The share that is used up, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn used_share(&self) -> f64 {
        if self.limit == 0 {
            return 1.0;
        }
        self.limit.saturating_sub(self.remaining) as f64 / self.limit as f64
    }
}
