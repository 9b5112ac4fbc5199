//! The ids in data that passes in pieces.

use tower_key_rotation::provider::stored_ids_in_json;

/// Length of the end of a piece in which an id may begin that the next piece ends: the longest id, in quotes (258). Longer
/// than the beginning of encrypted content with the name of its member.
const CUT: usize = 258;

/// A JSON document that passes in pieces of any size.
#[derive(Default)]
pub(super) struct Passing {
    /// The end of the data so far.
    end: Vec<u8>,
}

// === impl Passing ===

impl Passing {
    /// Calls `found` with the ids in the next piece, and with those that end in it. One may be found twice.
    pub(super) fn see(&mut self, data: &[u8], mut found: impl FnMut(&str)) {
        stored_ids_in_json(data).for_each(&mut found);
        self.end.extend_from_slice(&data[..data.len().min(CUT)]);
        stored_ids_in_json(&self.end).for_each(found);
        if data.len() > CUT {
            self.end.clear();
            self.end.extend_from_slice(&data[data.len() - CUT..]);
        } else {
            self.end.drain(..self.end.len().saturating_sub(CUT));
        }
    }
}
