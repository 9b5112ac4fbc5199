//! The last check of a key, in one atomic word.

use crate::clock::Timestamp;
use crate::key::{CheckResult, KeyCheck};
use crate::sync::{AtomicU64, Ordering};

/// The last check of a key. From the lowest bit: the number of the result (one more than its place among all results),
/// the status, and the time in milliseconds since the Unix epoch. Zero means never.
#[derive(Default)]
pub(in crate::pool) struct LastCheck(AtomicU64);

const RESULT_BITS: u32 = 8;
const STATUS_BITS: u32 = 10;

// === impl LastCheck ===

impl LastCheck {
    pub(in crate::pool) fn set(&self, check: KeyCheck) {
        let place = CheckResult::ALL.iter().position(|result| *result == check.result);
        let number = place.map_or(0, |place| place as u64 + 1);
        let status = u64::from(check.status.unwrap_or(0));
        let word = (check.at.as_unix_ms() << STATUS_BITS | status) << RESULT_BITS | number;
        // Of two checks at a time, the one that ended later counts.
        let is_later = |old: u64| old >> (RESULT_BITS + STATUS_BITS) <= check.at.as_unix_ms();
        let _kept =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| is_later(old).then_some(word));
    }

    pub(in crate::pool) fn get(&self) -> Option<KeyCheck> {
        let word = self.0.load(Ordering::Relaxed);
        let place = (word & ((1 << RESULT_BITS) - 1)).checked_sub(1)?;
        let result = *CheckResult::ALL.get(usize::try_from(place).ok()?)?;
        let status = (word >> RESULT_BITS & ((1 << STATUS_BITS) - 1)) as u16;
        let at = Timestamp::from_unix_ms(word >> (RESULT_BITS + STATUS_BITS));
        Some(KeyCheck::new(at, result, Some(status).filter(|status| *status > 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_kept_as_it_was() {
        let last = LastCheck::default();
        assert_eq!(last.get(), None);
        for (seconds, result) in CheckResult::ALL.into_iter().enumerate() {
            for status in [None, Some(200), Some(999)] {
                let at = Timestamp::from_unix_ms(4_000_000_000_000 + seconds as u64 * 1_000);
                let check = KeyCheck::new(at, result, status);
                let last = LastCheck::default();
                last.set(check);
                assert_eq!(last.get(), Some(check));
            }
        }
    }
}
