//! One log line for many events of one kind.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Minimum time between two lines (10 s).
const PAUSE: Duration = Duration::from_secs(10);

/// Decides when an event is logged: at most every 10 s.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_line: Option<Instant>,
    /// Number of events since the last line.
    events: u64,
}

// === impl LogThrottle ===

impl LogThrottle {
    /// Counts an event. If it is to be logged, returns the number of events since the last line, including this one.
    pub(crate) fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.events += 1;
        let now = Instant::now();
        if state.last_line.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return None;
        }
        state.last_line = Some(now);
        Some(std::mem::take(&mut state.events))
    }
}
