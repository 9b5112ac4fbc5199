//! The number of rotations within a minute.

use std::collections::VecDeque;

use tower_key_rotation::clock::Timestamp;

const MINUTE_MS: u64 = 60_000;

/// Rotations of the last minute, by second.
#[derive(Default)]
pub(super) struct RotationRate(VecDeque<(u64, u32)>);

// === impl RotationRate ===

impl RotationRate {
    pub(super) fn add(&mut self, at: Timestamp) {
        let second = at.as_unix_ms() / 1_000;
        match self.0.back_mut() {
            Some((last, count)) if *last >= second => *count += 1,
            _ => self.0.push_back((second, 1)),
        }
    }

    /// Returns the number of rotations of the last minute.
    pub(super) fn count(&mut self, now: Timestamp) -> u32 {
        let oldest = now.as_unix_ms().saturating_sub(MINUTE_MS) / 1_000;
        while self.0.front().is_some_and(|(second, _)| *second <= oldest) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, count)| count).sum()
    }
}
