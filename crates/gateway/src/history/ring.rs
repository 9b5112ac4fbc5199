//! Values of the last steps of time, over a minute, an hour and a day.

use std::collections::VecDeque;
use std::time::Duration;

use tower_key_rotation::clock::Timestamp;

/// A value that a step of time accumulates.
pub(crate) trait Merge: Default {
    /// Adds the value of another step.
    fn merge(&mut self, other: &Self);
}

/// Values by step of time. Steps without a value take no memory.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    step_ms: u64,
    steps: u64,
    /// Values by the number of their step since the Unix epoch, in ascending order.
    values: VecDeque<(u64, T)>,
}

/// Values over the last minute, hour and day.
#[derive(Debug)]
pub(crate) struct Rings<T> {
    pub(crate) minute: Ring<T>,
    pub(crate) hour: Ring<T>,
    pub(crate) day: Ring<T>,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

// === impl Ring ===

impl<T: Merge> Ring<T> {
    const fn new(step_ms: u64, steps: u64) -> Self {
        Self { step_ms, steps, values: VecDeque::new() }
    }

    fn at(&mut self, now: Timestamp) -> Option<&mut T> {
        let step = now.as_unix_ms() / self.step_ms;
        // A clock that was set back counts in the latest step.
        if self.values.back().is_none_or(|(last, _)| *last < step) {
            self.values.push_back((step, T::default()));
            self.prune(now);
        }
        self.values.back_mut().map(|(_, value)| value)
    }

    fn prune(&mut self, now: Timestamp) {
        let oldest = self.oldest(now);
        while self.values.front().is_some_and(|(step, _)| *step < oldest) {
            self.values.pop_front();
        }
    }

    const fn oldest(&self, now: Timestamp) -> u64 {
        (now.as_unix_ms() / self.step_ms).saturating_sub(self.steps - 1)
    }

    /// Iterates over the steps with a value: the time at which each begins, and its value.
    pub(super) fn steps(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &T)> {
        let oldest = self.oldest(now);
        let kept = self.values.iter().filter(move |(step, _)| *step >= oldest);
        kept.map(|(step, value)| (Timestamp::from_unix_ms(step * self.step_ms), value))
    }

    /// Returns the sum of all steps.
    pub(crate) fn sum(&self, now: Timestamp) -> T {
        let mut sum = T::default();
        self.steps(now).for_each(|(_, value)| sum.merge(value));
        sum
    }
}

impl<T: Merge> Ring<T> {
    /// Returns the time until the sum of an amount is below a limit, if nothing is added. Zero if it is below now.
    pub(crate) fn until_below(&self, limit: u64, amount: impl Fn(&T) -> u64, now: Timestamp) -> Duration {
        let mut left: u64 = self.steps(now).map(|(_, value)| amount(value)).sum();
        if left < limit {
            return Duration::ZERO;
        }
        for (begins, value) in self.steps(now) {
            left -= amount(value);
            if left < limit {
                let leaves = begins.as_unix_ms() + self.step_ms * self.steps;
                return Timestamp::from_unix_ms(leaves).saturating_since(now);
            }
        }
        Duration::from_millis(self.step_ms * self.steps)
    }
}

// === impl Rings ===

impl<T: Merge> Rings<T> {
    /// Changes the value of the present step in each ring.
    pub(crate) fn change(&mut self, now: Timestamp, change: impl Fn(&mut T)) {
        for ring in [&mut self.minute, &mut self.hour, &mut self.day] {
            ring.at(now).into_iter().for_each(&change);
        }
    }

    /// Returns whether the last day has no value.
    pub(super) fn is_empty(&mut self, now: Timestamp) -> bool {
        self.day.prune(now);
        self.day.values.is_empty()
    }
}

impl<T: Merge> Default for Rings<T> {
    fn default() -> Self {
        Self {
            minute: Ring::new(5 * SECOND, 12),
            hour: Ring::new(MINUTE, 60),
            day: Ring::new(15 * MINUTE, 96),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Merge for u64 {
        fn merge(&mut self, other: &Self) {
            *self += other;
        }
    }

    #[test]
    fn values_leave_the_window_with_their_step() {
        let mut rings = Rings::<u64>::default();
        let at = |seconds: u64| Timestamp::from_unix_ms(1_000_000_000_000 + seconds * SECOND);
        rings.change(at(0), |value| *value += 1);
        rings.change(at(30), |value| *value += 2);
        let sums = |now: Timestamp| [&rings.minute, &rings.hour, &rings.day].map(|ring| ring.sum(now));
        assert_eq!(sums(at(54)), [3, 3, 3]);
        assert_eq!(sums(at(61)), [2, 3, 3]);
        assert_eq!(sums(at(3_700)), [0, 0, 3]);
        assert_eq!(sums(at(90_000)), [0, 0, 0]);
        assert!(rings.is_empty(at(90_000)));
    }

    #[test]
    fn a_sum_is_below_a_limit_when_steps_have_left() {
        let mut ring = Ring::<u64>::new(5 * SECOND, 12);
        let at = |seconds: u64| Timestamp::from_unix_ms(1_000_000_000_000 + seconds * SECOND);
        for (seconds, more) in [(0, 3), (20, 4)] {
            *ring.at(at(seconds)).unwrap() += more;
        }
        let until = |limit: u64, seconds: u64| ring.until_below(limit, |value| *value, at(seconds)).as_secs();
        assert_eq!((until(8, 21), until(7, 21), until(4, 21)), (0, 39, 59));
        assert_eq!(until(7, 61), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut rings = Rings::<u64>::default();
        rings.change(Timestamp::from_unix_ms(9_000_000), |value| *value += 1);
        rings.change(Timestamp::from_unix_ms(8_000_000), |value| *value += 1);
        assert_eq!(rings.day.sum(Timestamp::from_unix_ms(9_000_000)), 2);
    }

    #[test]
    fn memory_is_bounded_by_the_number_of_steps() {
        let mut rings = Rings::<u64>::default();
        (0..100_000)
            .for_each(|minute| rings.change(Timestamp::from_unix_ms(minute * MINUTE), |value| *value += 1));
        assert_eq!((rings.minute.values.len(), rings.hour.values.len(), rings.day.values.len()), (1, 60, 96));
    }
}
