//! The report about usage, for JSON.

use std::sync::Arc;

use serde::Serialize;
use tower_key_rotation::ModelId;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::key::KeyId;

use crate::history::counts::Counts;
use crate::history::ring::{Merge, Rings};
use crate::history::state_times::StateTimes;

/// Values over the last minute, hour and day.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Spans<T> {
    /// The last minute.
    pub minute: T,
    /// The last hour.
    pub hour: T,
    /// The last day.
    pub day: T,
}

/// The usage of all providers, keys and models at one moment.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct UsageReport {
    /// The time of the report.
    pub at: Timestamp,
    /// The usage of each provider.
    pub providers: Vec<ProviderUsage>,
    /// The usage of each key and model, for those used within the last day.
    pub models: Vec<ModelUsage>,
    /// The time that each key spent in each state.
    pub keys: Vec<KeyTimes>,
}

/// The usage of one provider.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProviderUsage {
    /// Name of the provider.
    pub provider: Arc<str>,
    /// Its usage.
    #[serde(flatten)]
    pub usage: Spans<Counts>,
    /// The last day in steps of 15 minutes, without those that have no attempt.
    pub history: Vec<Point>,
}

/// The attempts of 15 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// The time at which the step begins.
    pub at: Timestamp,
    /// Number of attempts that have ended.
    pub attempts: u64,
    /// Number of attempts that were served.
    pub successes: u64,
    /// Number of attempts that were rate-limited.
    pub rate_limited: u64,
}

/// The usage of one model with one key.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModelUsage {
    /// Name of the provider.
    pub provider: Arc<str>,
    /// The key.
    pub key: KeyId,
    /// The model; `other` and `unknown` stand for several.
    pub model: ModelId,
    /// Its usage.
    #[serde(flatten)]
    pub usage: Spans<Counts>,
}

/// The time that a key spent in each state.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KeyTimes {
    /// Name of the provider.
    pub provider: Arc<str>,
    /// The key.
    pub key: KeyId,
    /// Milliseconds in each state.
    pub states_ms: Spans<StateTimes>,
}

/// Returns the sums over the last minute, hour and day.
pub(crate) fn spans<T: Merge>(rings: &Rings<T>, now: Timestamp) -> Spans<T> {
    Spans { minute: rings.minute.sum(now), hour: rings.hour.sum(now), day: rings.day.sum(now) }
}

// === impl Point ===

impl Point {
    pub(super) fn of((at, counts): (Timestamp, &Counts)) -> Self {
        let rate_limited = counts.errors("rate_limited");
        Self { at, attempts: counts.attempts(), successes: counts.successes(), rate_limited }
    }
}
