//! How long an answer takes.
//!
//! A request that waits for a key until its deadline has none left to be answered in: it would take a call's
//! worth of a limit and be cut off. So whoever waits leaves the time that answers have taken lately, as TCP
//! does for its retransmissions: a mean and a mean deviation, each a moving average.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The moving averages: the mean in the upper half, the deviation in the lower, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

/// Where times are spread normally, one answer of a hundred and twenty takes longer; and no more than one call of a
/// hundred is to be wasted.
const DEVIATIONS: u64 = 3;

impl Pace {
    /// An answer's head has come after this time.
    pub(super) fn answered(&self, took: Duration) {
        let sample = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let learn = |word| Some(pack(learn(unpack(word), sample)));
        // Under contention one sample more or less is nothing.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, learn);
    }

    /// The time that most answers take; zero if there has been none.
    pub(super) fn most(&self) -> Duration {
        let (mean, deviation) = unpack(self.0.load(Ordering::Relaxed));
        Duration::from_micros(u64::from(mean) + DEVIATIONS * u64::from(deviation))
    }
}

fn learn((mean, deviation): (u32, u32), sample: u32) -> (u32, u32) {
    if mean == 0 {
        return (sample, sample / 2);
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
