//! The counts of recent calls and of those that failed.

/// The counts of the window. Each bucket holds a tenth of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Ring([Bucket; BUCKETS]);

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// Number of the tenth since the Unix epoch.
    number: u64,
    calls: u32,
    failed: u32,
}

pub(super) const BUCKETS: usize = 10;

// === impl Ring ===

impl Ring {
    fn bucket(&mut self, number: u64) -> &mut Bucket {
        let bucket = &mut self.0[(number % BUCKETS as u64) as usize];
        if bucket.number < number {
            *bucket = Bucket { number, ..Bucket::default() };
        }
        bucket
    }

    /// Counts a call as failed that was counted as a success, perhaps in another bucket.
    pub(super) fn turn_into_failure(&mut self, number: u64) {
        let bucket = self.bucket(number);
        bucket.failed = bucket.failed.saturating_add(1);
        bucket.calls = bucket.calls.max(bucket.failed);
    }

    pub(super) fn count(&mut self, number: u64, failed: bool) {
        let bucket = self.bucket(number);
        // A time that was read before another thread's is at most one bucket late: the call counts in the later
        // bucket.
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failed = bucket.failed.saturating_add(u32::from(failed));
    }

    pub(super) fn sum(&self, number: u64) -> (u64, u64) {
        let recent = self.0.iter().filter(|bucket| bucket.number + BUCKETS as u64 > number);
        recent.fold((0, 0), |(calls, failed), bucket| {
            (calls + u64::from(bucket.calls), failed + u64::from(bucket.failed))
        })
    }
}
