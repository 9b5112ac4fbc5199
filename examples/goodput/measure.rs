//! The measurement of one case, from its first request to its last response.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tower::BoxError;

use crate::cases::Case;
use crate::load::{self, PATIENCE, UpstreamResponse};
use crate::provider::InABox;

/// Interval at which the provider's counts are read.
const EVERY: Duration = Duration::from_millis(50);

/// Everything recorded about a case.
pub(crate) struct Run {
    pub(crate) answers: Vec<UpstreamResponse>,
    /// Samples in the order of time. The first is from before the load.
    pub(crate) samples: Vec<Sample>,
    /// First and last sample of the window in which everything is counted.
    pub(crate) window: (Sample, Sample),
}

/// The provider's counts and the capacity left, at a time since the start of the load.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) calls: u64,
    pub(crate) wasted: u64,
    /// Content of the buckets, in the unit of the limits.
    pub(crate) headroom: f64,
}

// === impl Run ===

impl Run {
    pub(crate) async fn of(case: &Case, seed: u64) -> Result<Self, BoxError> {
        let provider = InABox::start(case).await?;
        let window_ends = case.warm_up + case.measured;
        let began = Instant::now();
        let mut samples = vec![Sample::take(&provider, case, began)];
        // The load goes on until every request that was due in the window has its response.
        let mut load = std::pin::pin!(load::run(case, &provider, began, window_ends + PATIENCE, seed));
        let mut ticks = interval_at(began + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let answers = loop {
            tokio::select! {
                answers = load.as_mut() => break answers?,
                _ = ticks.tick() => samples.push(Sample::take(&provider, case, began)),
            }
        };
        let window = (Self::first(&samples, case.warm_up)?, Self::first(&samples, window_ends)?);
        Ok(Self { answers, samples, window })
    }

    fn first(samples: &[Sample], from: Duration) -> Result<Sample, BoxError> {
        let sample = samples.iter().find(|sample| sample.at >= from).cloned();
        Ok(sample.ok_or("the provider was not asked often enough")?)
    }

    /// Returns whether a time is within the window.
    pub(crate) fn counts(&self, time: Duration) -> bool {
        let (start, end) = &self.window;
        start.at <= time && time < end.at
    }

    /// Returns the length of the window in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        let (start, end) = &self.window;
        end.at.saturating_sub(start.at).as_secs_f64()
    }
}

// === impl Sample ===

impl Sample {
    fn take(provider: &InABox, case: &Case, began: Instant) -> Self {
        let tally = provider.tally();
        Self {
            at: Instant::now().saturating_duration_since(began),
            calls: tally.total,
            wasted: tally.total - tally.with(StatusCode::OK),
            headroom: provider.headroom(case),
        }
    }
}
