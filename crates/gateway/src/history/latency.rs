//! A histogram of times, for percentiles.

use std::time::Duration;

/// Numbers of times by bucket. Buckets grow by 19 %, four in each power of two, and the last one holds all from
/// 17 min.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    /// Number of the first bucket in `counts`.
    first: usize,
    counts: Vec<u32>,
}

/// Number of the last bucket.
const LAST: usize = 80;

const PER_OCTAVE: f64 = 4.0;

// === impl Latencies ===

impl Latencies {
    pub(super) fn add(&mut self, time: Duration) {
        self.count(bucket(time), 1);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (index, count) in other.counts.iter().enumerate() {
            self.count(other.first + index, *count);
        }
    }

    /// Returns the time that this share of all times does not exceed, in milliseconds. `None` without any time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank, and a bound of at most 17 min"
    )]
    pub(super) fn percentile(&self, share: f64) -> Option<u64> {
        let total: u64 = self.counts.iter().copied().map(u64::from).sum();
        let rank = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let reached = |count: &u32| {
            seen += u64::from(*count);
            seen >= rank.max(1)
        };
        let index = self.counts.iter().position(reached)?;
        Some(2f64.powf((self.first + index) as f64 / PER_OCTAVE).ceil() as u64)
    }

    fn count(&mut self, bucket: usize, times: u32) {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - bucket));
            self.first = bucket;
        }
        let index = bucket - self.first;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] = self.counts[index].saturating_add(times);
    }
}

/// Returns the bucket whose upper bound is the first that the time does not exceed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `LAST`")]
fn bucket(time: Duration) -> usize {
    let ms = time.as_secs_f64() * 1_000.0;
    let bucket = (ms.max(1.0).log2() * PER_OCTAVE).ceil();
    (bucket as usize).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut times = Latencies::default();
        assert_eq!(times.percentile(0.5), None);
        (1..=1_000).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        for (share, exact) in [(0.5, 500.0), (0.95, 950.0)] {
            let found = times.percentile(share).unwrap() as f64;
            assert!((exact..exact * 1.2).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn a_merge_equals_one_histogram_of_all() {
        let (mut slow, mut fast) = (Latencies::default(), Latencies::default());
        (0..9).for_each(|_| slow.add(Duration::from_secs(40)));
        fast.add(Duration::from_micros(3));
        slow.merge(&fast);
        assert_eq!(slow.percentile(0.1), Some(1));
        assert!(slow.percentile(0.5).unwrap() >= 40_000);
    }

    #[test]
    fn the_longest_times_share_the_last_bucket() {
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, LAST));
    }
}
