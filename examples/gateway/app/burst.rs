//! One log line for many events of one kind.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Says when an event is worth a line: at most every ten seconds.
#[derive(Default)]
pub(super) struct Burst(Mutex<State>);

#[derive(Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

// === impl Burst ===

impl Burst {
    /// Counts an event. If it is worth a line, returns how many there were since the last line, itself included.
    pub(super) fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        let now = Instant::now();
        if state.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSE) {
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}
