//! Retries after a provider fault: the delay before a retry, and the budget for all retries.
//!
//! Both layers retry, and both take their defaults from here. A retry waits for a random time, so that
//! requests that failed together do not come back together. A budget limits retries to a share of all
//! requests, so that retries do not multiply the load of a provider that is down.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower::retry::budget::{Budget, TpsBudget};

/// Limits retries over all requests of a layer: a share of the requests of the last seconds, and a number of
/// retries per second on top of that.
///
/// Clones share one budget: give clones to several layers to limit their retries together. The default is
/// 20 % of the requests of the last 10 s, and 10 retries per second.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::RetryBudget;
///
/// // One retry for ten requests of the last half minute, and one per second in any case.
/// let budget = RetryBudget::new(0.1, 1, Duration::from_secs(30));
/// # let _ = budget;
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    share: f32,
    per_second: u32,
    window: Duration,
    tokens: Arc<TpsBudget>,
}

/// The delay before a retry: a random time between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryDelay {
    shortest: Duration,
    longest: Duration,
}

// === impl RetryBudget ===

impl RetryBudget {
    /// Default share of requests that may be retried: 0.2, that is 20 %.
    pub const SHARE: f32 = 0.2;
    /// Default number of retries per second that are allowed in addition: 10.
    pub const PER_SECOND: u32 = 10;
    /// Default time for which a request counts: 10 s.
    pub const WINDOW: Duration = Duration::from_secs(10);

    /// Creates a budget that shares nothing with other budgets.
    ///
    /// - `share`: retries for each request of the window. Rounded up to one retry for a whole number of
    ///   requests: 0.3 allows one retry for every three. Clamped to 0 to 1000; not a number counts as 0.
    /// - `per_second`: retries per second that are allowed in addition. 0 allows none.
    /// - `window`: the time for which a request counts. Clamped to 1 s to 60 s.
    ///
    /// A share of 0 with 0 per second allows no retries.
    pub fn new(share: f32, per_second: u32, window: Duration) -> Self {
        // `TpsBudget` panics at values outside these bounds.
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1_000.0) };
        let per_second = per_second.min(i32::MAX.unsigned_abs() - 1);
        let window = window.clamp(Duration::from_secs(1), Duration::from_secs(60));
        let tokens = Arc::new(TpsBudget::new(window, per_second, share));
        Self { share, per_second, window, tokens }
    }

    /// Records one request, which adds its share to the budget.
    pub(crate) fn deposit(&self) {
        self.tokens.deposit();
    }

    /// Takes one retry from the budget. Returns whether one was left.
    pub(crate) fn withdraw(&self) -> bool {
        self.tokens.withdraw()
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(Self::SHARE, Self::PER_SECOND, Self::WINDOW)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { share, per_second, window, tokens: _ } = self;
        f.debug_struct("RetryBudget")
            .field("share", share)
            .field("per_second", per_second)
            .field("window", window)
            .finish_non_exhaustive()
    }
}

// === impl RetryDelay ===

impl RetryDelay {
    /// The default: between 100 ms and 500 ms.
    pub(crate) const DEFAULT: Self =
        Self { shortest: Duration::from_millis(100), longest: Duration::from_millis(500) };

    /// Creates a delay between two bounds. A longest delay below the shortest counts as the shortest.
    pub(crate) fn between(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest) }
    }

    pub(crate) const fn bounds(self) -> (Duration, Duration) {
        (self.shortest, self.longest)
    }

    /// Returns the upper bound. If a provider states a longer wait, the request is not retried there.
    pub(crate) const fn longest(self) -> Duration {
        self.longest
    }

    /// Returns a random delay, uniformly distributed between the bounds.
    pub(crate) fn jittered(self) -> Duration {
        self.shortest + self.longest.saturating_sub(self.shortest).mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_budgets_are_clamped() {
        for share in [f32::NAN, f32::NEG_INFINITY, -1.0, 0.0, 1e-30, 0.7, 1_000.0, f32::INFINITY] {
            for per_second in [0, 1, u32::MAX] {
                for window in [Duration::ZERO, Duration::from_secs(10), Duration::MAX] {
                    let budget = RetryBudget::new(share, per_second, window);
                    budget.deposit();
                    assert!(budget.withdraw() || per_second == 0, "{budget:?}");
                }
            }
        }
    }

    #[test]
    fn a_share_of_requests_is_allowed_and_no_more() {
        let budget = RetryBudget::new(0.2, 0, RetryBudget::WINDOW);
        let shared = budget.clone();
        assert!(!budget.withdraw(), "no request, no retry");
        (0..50).for_each(|_| budget.deposit());
        assert_eq!((0..50).filter(|_| shared.withdraw()).count(), 10);
        assert!(!RetryBudget::new(0.0, 0, Duration::ZERO).withdraw());
    }

    #[test]
    fn a_delay_stays_between_its_bounds() {
        let ms = Duration::from_millis;
        for (shortest, longest) in [(ms(100), ms(500)), (ms(300), ms(20)), (ms(0), ms(0))] {
            let delay = RetryDelay::between(shortest, longest);
            assert!(delay.longest() >= shortest);
            for _ in 0..100 {
                assert!((shortest..=delay.longest()).contains(&delay.jittered()));
            }
        }
    }
}
