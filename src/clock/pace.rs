//! How long a response takes, and whether a wait leaves room for one.
//!
//! A request that waits until its deadline has no time left for an attempt: it would use up a part of a limit
//! and be cut off. So a wait has to leave the time that responses have taken lately, estimated as TCP does for
//! its retransmissions: a mean and a mean deviation, each a moving average. As long as no request was served,
//! the time of the latest refusal stands in for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long responses take.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The moving averages: the mean in the upper half, the deviation in the lower, in microseconds. Zero: no
    /// request was served yet.
    served: AtomicU64,
    /// The time of the latest refusal, in microseconds.
    refused: AtomicU64,
}

/// Where times are spread normally, one answer of a hundred and twenty takes longer; and no more than one call of a
/// hundred is to be wasted.
const DEVIATIONS: u64 = 3;

impl Pace {
    /// The head of a response that serves a request has come after this time.
    pub(crate) fn answered(&self, took: Duration) {
        let learn = |word| Some(pack(learn(unpack(word), sample(took))));
        // Under contention one sample more or less is nothing.
        let _ = self.served.fetch_update(Ordering::Relaxed, Ordering::Relaxed, learn);
    }

    /// The head of a refusal has come after this time.
    pub(crate) fn refused(&self, took: Duration) {
        self.refused.store(sample(took).into(), Ordering::Relaxed);
    }

    /// The time that most responses take; zero if there has been none.
    pub(crate) fn most(&self) -> Duration {
        let (mean, deviation) = match self.served.load(Ordering::Relaxed) {
            0 => (sample(Duration::from_micros(self.refused.load(Ordering::Relaxed))), 0),
            word => unpack(word),
        };
        Duration::from_micros(u64::from(mean) + DEVIATIONS * u64::from(deviation))
    }

    /// When a wait has to be over so that most responses come before the deadline. This is the one place that
    /// decides whether a wait fits.
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
        // Of a single response the half of its time is left beside it.
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
        let pace = Pace::default();
        assert_eq!(pace.most(), Duration::ZERO);
        (0..200).for_each(|number| pace.answered(Duration::from_millis(20 + number * 7 % 40)));
        let most = pace.most().as_millis();
        assert!((45..=75).contains(&most), "{most}");
        (0..200).for_each(|_| pace.answered(Duration::from_millis(5)));
        assert!(pace.most() < Duration::from_millis(6));
        pace.answered(Duration::MAX);
    }

    #[test]
    fn a_refusal_counts_until_a_request_is_served() {
        let pace = Pace::default();
        pace.refused(Duration::from_secs(1));
        assert_eq!(pace.most(), Duration::from_secs(1));
        pace.answered(Duration::from_millis(10));
        pace.refused(Duration::from_secs(1));
        assert!(pace.most() <= Duration::from_millis(15), "{:?}", pace.most());
    }

    #[test]
    fn hardly_an_answer_takes_longer() {
        let (pace, mut rng) = (Pace::default(), fastrand::Rng::with_seed(1));
        let mut draw = || Duration::from_micros(rng.u64(20_000..60_000));
        (0..100).for_each(|_| pace.answered(draw()));
        let late = (0..10_000).filter(|_| {
            let (most, took) = (pace.most(), draw());
            pace.answered(took);
            took > most
        });
        let late = late.count();
        assert!(late <= 100, "{late} of 10,000");
    }
}
