//! The rest of a JSON document behind the last name of a model.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The member's name, which some servers read in any case.
const MODEL: &[u8] = b"\"model\"";

/// The beginning of an escape that may stand for a letter of the name. A finder is built once, since building it costs
/// more than it takes to search a short document.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u"));

/// Maximum number of bytes of `"model"` that end a piece without being the whole of it.
const CUT: usize = MODEL.len() - 1;

/// The text behind the last name, as far as it could be cut between two pieces.
#[derive(Default)]
pub(super) struct Behind {
    last: [u8; 2 * CUT],
    /// Number of bytes of `last` that are used, at most [`CUT`] between two pieces.
    length: usize,
    /// Whether another member `model` may follow.
    pub(super) may_follow: bool,
}

// === impl Behind ===

impl Behind {
    /// Reads a piece of the rest of the document.
    pub(super) fn see(&mut self, piece: &[u8]) {
        if self.may_follow {
            return;
        }
        let begun = piece.len().min(CUT);
        let joined = self.length + begun;
        self.last[self.length..joined].copy_from_slice(&piece[..begun]);
        // Nothing can be cut at the beginning of the first piece.
        self.may_follow = self.length > 0 && may_follow(&self.last[..joined]) || may_follow(piece);
        if piece.len() >= CUT {
            self.last[..CUT].copy_from_slice(&piece[piece.len() - CUT..]);
            self.length = CUT;
        } else {
            self.last.copy_within(joined.saturating_sub(CUT)..joined, 0);
            self.length = joined.min(CUT);
        }
    }
}

fn is_name(text: &[u8]) -> bool {
    text.get(..MODEL.len()).is_some_and(|name| name.eq_ignore_ascii_case(MODEL))
}

/// Returns whether a text has the member's name, or an escape that may stand for a letter of it.
fn may_follow(text: &[u8]) -> bool {
    memchr::memchr_iter(b'"', text).any(|at| is_name(&text[at..]))
        || memchr::memchr(b'\\', text).is_some_and(|at| ESCAPE.find(&text[at..]).is_some())
}
