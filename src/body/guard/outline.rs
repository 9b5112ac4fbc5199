//! The outline of a JSON document that passes: whether it has come to its end.
//!
//! A body whose length is not known, cut by a server that ends it correctly, looks like a whole one. The last character of
//! a document tells it from most cuts, at no cost: Gemini's streams are an array, and are cut between its elements.

/// The brackets around a document.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outline {
    /// The first character and the last one so far, blanks aside.
    brackets: Option<(u8, u8)>,
}

// === impl Outline ===

impl Outline {
    pub(super) fn see(&mut self, data: &[u8]) {
        if let [first, .., last] | [first @ last] = data.trim_ascii() {
            let first = self.brackets.map_or(*first, |(first, _)| first);
            self.brackets = Some((first, *last));
        }
    }

    /// Returns whether the document lacks its closing bracket.
    pub(super) const fn is_cut(self) -> bool {
        match self.brackets {
            Some((b'[', last)) => last != b']',
            Some((b'{', last)) => last != b'}',
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_with_its_bracket() {
        for (pieces, is_cut) in [
            (&["[{}\n,", "{}]\n"][..], false),
            (&["\n", "[", "]"], false),
            (&["{\"a\":1}", " \n"], false),
            (&["null"], false),
            (&[], false),
            (&["[{}", "\n,{}"], true),
            (&["[{\"a\":[1]}"], true),
            (&["{"], true),
        ] {
            let mut outline = Outline::default();
            pieces.iter().for_each(|piece| outline.see(piece.as_bytes()));
            assert_eq!(outline.is_cut(), is_cut, "{pieces:?}");
        }
    }
}
