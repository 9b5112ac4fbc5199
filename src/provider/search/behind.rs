//! The rest of a JSON document behind the last name of a model.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The member's name, which some servers read in any case.
const MODEL: &[u8] = b"\"model\"";

/// The end of the name in either case. A long document has many quotation marks, and few of these. Finders are built once,
/// since building one costs more than it takes to search a short document.
static ENDS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [&b"l\""[..], b"L\""].map(Finder::new));

/// The beginning of an escape that may stand for a letter of the name.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u"));

/// Length below which each place of a text is compared, in bytes (64).
const SHORT: usize = 64;

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

/// Returns whether a text has the member's name.
fn has_name(text: &[u8]) -> bool {
    if text.len() < SHORT {
        return text.windows(MODEL.len()).any(|part| part.eq_ignore_ascii_case(MODEL));
    }
    let ends_here = |at: usize| {
        let end = at + b"l\"".len();
        end.checked_sub(MODEL.len()).is_some_and(|start| text[start..end].eq_ignore_ascii_case(MODEL))
    };
    ENDS.iter().any(|end| end.find_iter(text).any(ends_here))
}

/// Returns whether a text has the member's name, or an escape that may stand for a letter of it.
fn may_follow(text: &[u8]) -> bool {
    has_name(text) || memchr::memchr(b'\\', text).is_some_and(|at| ESCAPE.find(&text[at..]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_at_any_place_in_any_case() {
        for length in [0, 1, 20, SHORT, 3 * SHORT] {
            for (name, may) in
                [("\"model\"", true), ("\"MODEL\"", true), ("\"mOdeL\"", true), ("\"modal\"", false)]
            {
                let text = ["l\"", &" tool\"".repeat(length), name, ":1,\"tool\":\"l\""].concat();
                assert_eq!(may_follow(text.as_bytes()), may, "{name} behind {length} others");
            }
        }
        assert!(may_follow(b"\\u006d") && !may_follow(b"\\n"));
    }
}
