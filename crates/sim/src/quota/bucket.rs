//! A token bucket: an amount that refills at a constant rate.

use std::time::Duration;

use tokio::time::Instant;

use super::gauge::Gauge;

/// Tolerance for floating-point error: after a stated wait, the refill may fall short of the amount by this
/// much.
const SLACK: f64 = 1e-6;

/// A bucket of requests or tokens. It starts full.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Largest amount that the bucket holds, at least 1.
    burst: f64,
    /// Amount refilled in a second of real time.
    per_second: f64,
    /// Amount held at `filled_at`, from 0 to `burst`.
    level: f64,
    filled_at: Instant,
}

// === impl Bucket ===

impl Bucket {
    /// Creates a full bucket that refills `amount` in every `period`.
    pub(super) fn new(burst: u32, amount: u32, period: Duration, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        let per_second = f64::from(amount) / period.as_secs_f64().max(1e-9);
        Self { burst, per_second, level: burst, filled_at: now }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        self.level = (self.level + passed.as_secs_f64() * self.per_second).min(self.burst);
        self.filled_at = now;
    }

    /// Returns the time until `amount` is available, counted from the last refill. `None` if it never
    /// will be.
    pub(super) fn wait_for(&self, amount: f64) -> Option<Duration> {
        if amount > self.burst {
            return None;
        }
        if self.level + SLACK >= amount {
            return Some(Duration::ZERO);
        }
        self.time_for(amount - self.level)
    }

    pub(super) fn take(&mut self, amount: f64) {
        self.level = (self.level - amount).max(0.0);
    }

    pub(super) fn fill(&mut self) {
        self.level = self.burst;
    }

    pub(super) fn level(&self) -> f64 {
        self.level
    }

    /// Returns the amount held, as headers show it.
    pub(super) fn gauge(&self) -> Gauge {
        let full_in = self.time_for(self.burst - self.level).unwrap_or(Duration::MAX);
        Gauge { limit: self.burst as u64, remaining: (self.level + SLACK) as u64, full_in }
    }

    /// Returns the time in which `amount` refills. `None` if it never does.
    fn time_for(&self, amount: f64) -> Option<Duration> {
        Duration::try_from_secs_f64(amount / self.per_second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_stated_wait_is_enough() {
        let mut bucket = Bucket::new(1, 3, Duration::from_secs(60), Instant::now());
        bucket.take(1.0);
        let wait = bucket.wait_for(1.0).unwrap();
        assert_eq!(wait.as_millis(), 20_000);

        tokio::time::advance(wait).await;
        bucket.refill(Instant::now());
        assert_eq!(bucket.wait_for(1.0), Some(Duration::ZERO));
        assert_eq!(bucket.wait_for(2.0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_it_never_fills() {
        let mut bucket = Bucket::new(1, 0, Duration::from_secs(60), Instant::now());
        bucket.take(1.0);
        assert_eq!(bucket.wait_for(1.0), None);
        assert_eq!(bucket.gauge().full_in, Duration::MAX);
    }
}
