//! When a source is asked for the next secret.

use std::time::Duration;

/// Upper bound of the time before the expiry at which a secret is renewed (5 min).
const LONGEST_MARGIN: Duration = Duration::from_secs(5 * 60);

/// Upper bound of the random part of that time (60 s).
const LONGEST_JITTER: Duration = Duration::from_secs(60);

/// Wait after the first failure (1 s). It doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Upper bound of the wait after a failure, before its random part (60 s).
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Lower bound of the time between two calls (100 ms).
const SHORTEST: Duration = Duration::from_millis(100);

/// Returns the time until a secret with this lifetime is renewed. It is not the same for any two secrets, so that the
/// keys of a fleet are not renewed at once.
pub(super) fn renew_in(lifetime: Duration) -> Duration {
    let margin = (lifetime / 5).min(LONGEST_MARGIN);
    let jitter = (lifetime / 20).min(LONGEST_JITTER).mul_f64(fastrand::f64());
    lifetime.saturating_sub(margin + jitter).max(SHORTEST)
}

/// Returns the time until a source is asked again that failed this often in a row. `left` is the remaining lifetime of
/// the secret: while it is valid, at least three further attempts are made.
pub(super) fn retry_in(failures: u32, left: Option<Duration>) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let wait = FIRST_RETRY.saturating_mul(factor).min(LONGEST_RETRY);
    let wait = left.map_or(wait, |left| wait.min(left / 4)).max(SHORTEST);
    wait + (wait / 4).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_secret_is_renewed_ahead_of_its_expiry() {
        for _ in 0..100 {
            let short = renew_in(2 * SECOND);
            assert!(short > SECOND && short <= 1_600 * SECOND / 1_000, "{short:?}");
            let long = renew_in(3_600 * SECOND);
            assert!(long >= 3_240 * SECOND && long <= 3_300 * SECOND, "{long:?}");
        }
        assert_eq!(renew_in(Duration::ZERO), SHORTEST, "a source is not asked without a pause");
    }

    #[test]
    fn failures_are_further_and_further_apart() {
        for _ in 0..100 {
            assert!((SECOND..=5 * SECOND / 4).contains(&retry_in(1, None)));
            assert!((60 * SECOND..=75 * SECOND).contains(&retry_in(40, None)));
            assert!(retry_in(40, Some(4 * SECOND)) <= 5 * SECOND / 4);
            assert!(retry_in(1, Some(Duration::ZERO)) >= SHORTEST);
        }
    }
}
