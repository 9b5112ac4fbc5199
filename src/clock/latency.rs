//! Estimates how long a response takes, and whether a wait leaves time for one.
//!
//! A request that waits until its deadline has no time left for an attempt: the attempt would use up part of
//! a limit and be cut off. So a wait has to leave the time that recent responses have taken. It is estimated
//! as TCP does for its retransmissions, from a mean and a mean deviation, each a moving average. Until the
//! first request is served, the time of the latest refusal is used instead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Estimate of the time that responses take.
#[derive(Debug, Default)]
pub(crate) struct LatencyEstimate {
    /// The moving averages in microseconds: the mean in the upper half, the mean deviation in the lower. Zero
    /// if no request was served yet.
    served: AtomicU64,
    /// Time of the latest refusal, in microseconds.
    refused: AtomicU64,
}

/// Number of mean deviations above the mean that count as the time of most responses.
///
/// In a normal distribution a mean deviation is 0.8 standard deviations. Three of them are exceeded by one
/// response of 120, and at most one call of 100 may be wasted.
const DEVIATIONS: u64 = 3;

/// Minimum time that a wait leaves for an attempt, if no response is known or responses were faster (10 ms). A wait that
/// ends at the deadline would be followed by a call that can only be cut off.
const LEAST: Duration = Duration::from_millis(10);

impl LatencyEstimate {
    /// Records the time until the response head of a request that was served.
    pub(crate) fn answered(&self, took: Duration) {
        let learn = |word| Some(pack(learn(unpack(word), sample(took))));
        // Can't fail: the closure always returns a value.
        let _ = self.served.fetch_update(Ordering::Relaxed, Ordering::Relaxed, learn);
    }

    /// Records the time until the response head of a refusal.
    pub(crate) fn refused(&self, took: Duration) {
        self.refused.store(sample(took).into(), Ordering::Relaxed);
    }

    /// Returns the time that most responses take, at least [`LEAST`].
    pub(crate) fn most(&self) -> Duration {
        let (mean, deviation) = match self.served.load(Ordering::Relaxed) {
            0 => (sample(Duration::from_micros(self.refused.load(Ordering::Relaxed))), 0),
            word => unpack(word),
        };
        Duration::from_micros(u64::from(mean) + DEVIATIONS * u64::from(deviation)).max(LEAST)
    }

    /// Returns the time by which a wait has to end so that most responses arrive before `deadline`. Every
    /// decision whether a wait fits is made with this function.
    pub(crate) fn latest_start(&self, deadline: Instant) -> Instant {
        deadline.checked_sub(self.most()).unwrap_or_else(Instant::now)
    }
}

fn sample(took: Duration) -> u32 {
    u32::try_from(took.as_micros()).unwrap_or(u32::MAX)
}

fn learn((mean, deviation): (u32, u32), sample: u32) -> (u32, u32) {
    let sample = sample.max(1);
    if mean == 0 {
        // After a single response, half of its time is added to the mean: three deviations of a sixth.
        return (sample, sample / (2 * DEVIATIONS as u32));
    }
    let towards = |from: u32, to: u32, share: u32| {
        if to > from { from + (to - from) / share } else { from - (from - to) / share }
    };
    (towards(mean, sample, 8), towards(deviation, mean.abs_diff(sample), 4))
}

const fn pack((mean, deviation): (u32, u32)) -> u64 {
    (mean as u64) << u32::BITS | deviation as u64
}

const fn unpack(word: u64) -> (u32, u32) {
    ((word >> u32::BITS) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_answers_come_within_it() {
        let latency = LatencyEstimate::default();
        assert_eq!(latency.most(), LEAST);
        (0..200).for_each(|number| latency.answered(Duration::from_millis(20 + number * 7 % 40)));
        let most = latency.most().as_millis();
        assert!((45..=75).contains(&most), "{most}");
        (0..200).for_each(|_| latency.answered(Duration::from_millis(5)));
        assert_eq!(latency.most(), LEAST);
        latency.answered(Duration::MAX);
    }

    #[test]
    fn a_refusal_counts_until_a_request_is_served() {
        let latency = LatencyEstimate::default();
        latency.refused(Duration::from_secs(1));
        assert_eq!(latency.most(), Duration::from_secs(1));
        latency.answered(Duration::from_millis(10));
        latency.refused(Duration::from_secs(1));
        assert!(latency.most() <= Duration::from_millis(15), "{:?}", latency.most());
    }

    #[test]
    fn hardly_an_answer_takes_longer() {
        let (latency, mut rng) = (LatencyEstimate::default(), fastrand::Rng::with_seed(1));
        let mut draw = || Duration::from_micros(rng.u64(20_000..60_000));
        (0..100).for_each(|_| latency.answered(draw()));
        let late = (0..10_000).filter(|_| {
            let (most, took) = (latency.most(), draw());
            latency.answered(took);
            took > most
        });
        let late = late.count();
        assert!(late <= 100, "{late} of 10,000");
    }
}
