//! The time that keys spend in each state.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::history::ring::Merge;

/// The milliseconds that a key spent in each state. Serializes to an object with the names of the states: those of
/// [`KeyState`](tower_key_rotation::pool::KeyState), and [`MODELS_OUT`](Self::MODELS_OUT).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateTimes(Vec<(&'static str, u64)>);

// === impl StateTimes ===

impl StateTimes {
    /// The state of a key that is available, but not for every model: `models_out`.
    pub const MODELS_OUT: &str = "models_out";

    /// Returns the milliseconds in this state.
    pub fn ms(&self, state: &str) -> u64 {
        self.0.iter().find(|(known, _)| *known == state).map_or(0, |(_, ms)| *ms)
    }

    pub(super) fn add(&mut self, state: &'static str, ms: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == state) {
            Some((_, sum)) => *sum += ms,
            None => self.0.push((state, ms)),
        }
    }
}

impl Merge for StateTimes {
    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(state, ms)| self.add(state, *ms));
    }
}

impl Serialize for StateTimes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (state, ms) in self.0.iter().filter(|(_, ms)| *ms > 0) {
            map.serialize_entry(state, ms)?;
        }
        map.end()
    }
}
