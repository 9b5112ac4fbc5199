//! How much later than it could be a bucket is used.
//!
//! Requests do not travel evenly: one that is slower than the next shortens the distance between the two, and
//! where there is no burst the next comes too early then, however exactly both were sent. How far apart they have
//! to be follows from how unevenly they travel, which nobody can measure from here: an answer's time is mostly
//! the provider's. So it is learned from refusals: the distance goes to where one of [`ONE_IN`] is refused.
//!
//! Only requests that were sent as early as they could tell of it. One that came long after its bucket was full
//! is let in at any distance.

/// How much later than it could be a bucket is used, in [`PARTS`] of its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Distance(u16);

/// Of an interval. Fine, for a hundredth more than it takes is a hundredth of the limit.
const PARTS: u16 = 40_000;

/// One of so many requests may be refused for coming a moment too early.
const ONE_IN: u16 = 200;

/// From here on distances change in larger steps, in proportion: one that has to be large is found as soon.
const NEAR: u16 = PARTS / 50;

// === impl Distance ===

impl Distance {
    pub(super) const FARTHEST: Self = Self(PARTS / 4);

    /// A request that was sent as early as it could was taken in by the provider, or refused. Each refusal moves
    /// the distance as far as [`ONE_IN`] successes move it back.
    pub(super) fn learn(&mut self, admitted: bool) {
        let step = self.0 / NEAR + 1;
        self.0 = match admitted {
            true => self.0.saturating_sub(step),
            false => self.0.saturating_add(step * ONE_IN).min(Self::FARTHEST.0),
        };
    }

    /// In microseconds, of an interval in microseconds.
    pub(super) fn of(self, interval: f64) -> u64 {
        (interval * f64::from(self.0) / f64::from(PARTS)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Microseconds, of an interval of 20 ms, after so many requests: those that come less than `needed` apart are
    /// refused, all others taken in.
    fn after(requests: usize, needed: impl Fn(&mut fastrand::Rng) -> u64) -> (u64, usize) {
        let (mut distance, mut rng, mut refused) = (Distance::default(), fastrand::Rng::with_seed(1), 0);
        for _ in 0..requests {
            let admitted = distance.of(2e4) >= needed(&mut rng);
            refused += usize::from(!admitted);
            distance.learn(admitted);
        }
        (distance.of(2e4), refused)
    }

    #[test]
    fn it_goes_to_where_one_of_two_hundred_is_refused() {
        for most in [200, 1_000, 4_000] {
            let (distance, refused) = after(20_000, |rng| rng.u64(0..most));
            assert!(most * 3 / 4 <= distance && distance <= most * 3 / 2, "{distance} of {most}");
            assert!((80..=130).contains(&refused), "{refused} refused for {most}");
        }
    }

    #[test]
    fn a_large_one_is_found_soon_too() {
        let (distance, refused) = after(100, |_| 4_000);
        assert!((4_000..=5_000).contains(&distance) && refused <= 20, "{distance}, {refused} refused");
    }

    #[test]
    fn it_has_an_end_and_comes_back() {
        let mut distance = Distance::default();
        (0..1_000).for_each(|_| distance.learn(false));
        assert_eq!((distance, distance.of(2e4)), (Distance::FARTHEST, 5_000));
        (0..10_000).for_each(|_| distance.learn(true));
        assert_eq!(distance.of(2e4), 0);
    }
}
