//! The safety margin of a bucket: a delay after the earliest possible time of use, learned from rejections.
//!
//! Requests travel unevenly. A request that is slower than the next one shortens the distance between the
//! two, and where no burst is allowed the next one then arrives too early, however exactly both were sent.
//! The necessary margin follows from how unevenly requests travel, which can't be measured on this side: most
//! of a response's time is the provider's. So it is learned from refusals. The margin settles where one of
//! [`ONE_IN`] requests is refused.
//!
//! Only requests that were sent as early as possible teach the margin. A request that comes long after its
//! bucket was full is let in at any margin.

/// The safety margin of a bucket, in [`PARTS`] of its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::limits) struct SafetyMargin(u16);

/// Resolution of the margin, in parts of an interval. A margin that is a hundredth of the interval too large
/// costs a hundredth of the limit, so the parts are small.
const PARTS: u16 = 40_000;

/// Target rate of requests that are refused for arriving a moment too early: one in 200.
const ONE_IN: u16 = 200;

/// Step size of larger margins: above this, steps grow in proportion, so that a large margin is found as soon
/// as a small one.
const NEAR: u16 = PARTS / 50;

// === impl SafetyMargin ===

impl SafetyMargin {
    /// Maximum margin: a quarter of the interval.
    pub(in crate::limits) const FARTHEST: Self = Self(PARTS / 4);

    /// Learns that a request that was sent as early as possible was let in, or refused. Each refusal moves
    /// the margin as far as [`ONE_IN`] successes move it back.
    pub(in crate::limits) fn learn(&mut self, admitted: bool) {
        let step = self.0 / NEAR + 1;
        self.0 = match admitted {
            true => self.0.saturating_sub(step),
            false => self.0.saturating_add(step * ONE_IN).min(Self::FARTHEST.0),
        };
    }

    /// Returns the margin in microseconds, for an interval in microseconds.
    pub(in crate::limits) fn of(self, interval: f64) -> u64 {
        (interval * f64::from(self.0) / f64::from(PARTS)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the margin in microseconds for an interval of 20 ms, after a number of requests, and the
    /// number of refusals. Requests that arrive less than `needed` apart are refused; all others are let in.
    fn after(requests: usize, needed: impl Fn(&mut fastrand::Rng) -> u64) -> (u64, usize) {
        let (mut margin, mut rng, mut refused) = (SafetyMargin::default(), fastrand::Rng::with_seed(1), 0);
        for _ in 0..requests {
            let admitted = margin.of(2e4) >= needed(&mut rng);
            refused += usize::from(!admitted);
            margin.learn(admitted);
        }
        (margin.of(2e4), refused)
    }

    #[test]
    fn it_goes_to_where_one_of_two_hundred_is_refused() {
        for most in [200, 1_000, 4_000] {
            let (margin, refused) = after(20_000, |rng| rng.u64(0..most));
            assert!(most * 3 / 4 <= margin && margin <= most * 3 / 2, "{margin} of {most}");
            assert!((80..=130).contains(&refused), "{refused} refused for {most}");
        }
    }

    #[test]
    fn a_large_one_is_found_soon_too() {
        let (margin, refused) = after(100, |_| 4_000);
        assert!((4_000..=5_000).contains(&margin) && refused <= 20, "{margin}, {refused} refused");
    }

    #[test]
    fn it_has_an_end_and_comes_back() {
        let mut margin = SafetyMargin::default();
        (0..1_000).for_each(|_| margin.learn(false));
        assert_eq!((margin, margin.of(2e4)), (SafetyMargin::FARTHEST, 5_000));
        (0..10_000).for_each(|_| margin.learn(true));
        assert_eq!(margin.of(2e4), 0);
    }
}
