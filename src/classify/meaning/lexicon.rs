//! The tables, compiled once into one automaton that finds all words of all tables in one pass.

use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::classify::meaning::text::sentence_ends;
use crate::classify::meaning::topic::{Row, Topic, Topics, Words};
use crate::classify::meaning::{chinese, english, names};

/// The compiled tables.
pub(super) struct Lexicon {
    words: AhoCorasick,
    /// The meaning of each word.
    marks: Vec<Marks>,
    /// Rows with several groups.
    rows: Vec<(Topic, Groups)>,
}

/// A set of groups of words, one bit each.
type Groups = u128;

/// The meaning of a word, or of all words of a sentence together.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// Groups of rows that need several groups.
    groups: Groups,
    /// Topics that the word has by itself.
    topics: Topics,
    /// Topics that the word has by itself in an error name.
    in_names: Topics,
}

/// The lexicon of all tables. `None` if it cannot be compiled, which a test rules out.
static LEXICON: LazyLock<Option<Lexicon>> = LazyLock::new(|| Lexicon::compile(tables()));

fn tables() -> impl Iterator<Item = &'static Row> {
    english::TABLES.into_iter().chain([chinese::TABLE, names::TABLE]).flatten()
}

/// Returns the topics of each sentence of a text that has some, in order.
pub(super) fn sentences(text: &str) -> Vec<Topics> {
    LEXICON.as_ref().map(|lexicon| lexicon.sentences(text)).unwrap_or_default()
}

/// Returns the topics of an error name that was split into words.
pub(super) fn name(words: &str) -> Topics {
    let Some(lexicon) = LEXICON.as_ref() else { return Topics::NONE };
    let marks = lexicon.found(words).fold(Marks::default(), |marks, (_, more)| marks.and(more));
    lexicon.topics(marks).and(marks.in_names)
}

// === impl Lexicon ===

impl Lexicon {
    fn compile(tables: impl Iterator<Item = &'static Row>) -> Option<Self> {
        let mut ids: HashMap<Words, u32> = HashMap::new();
        let mut of_word: HashMap<&'static str, Marks> = HashMap::new();
        let mut rows = Vec::new();
        for Row { topic, groups, names_only } in tables.copied() {
            let mut needed = 0;
            for group in groups.iter().copied() {
                let mut marks = Marks::of(topic, names_only);
                if groups.len() > 1 {
                    let next = u32::try_from(ids.len()).ok()?;
                    marks = Marks {
                        groups: 1_u128.checked_shl(*ids.entry(group).or_insert(next))?,
                        ..Marks::default()
                    };
                }
                needed |= marks.groups;
                for word in group {
                    let known = of_word.entry(word).or_default();
                    *known = known.and(marks);
                }
            }
            if groups.len() > 1 {
                rows.push((topic, needed));
            }
        }
        let (words, marks): (Vec<_>, Vec<_>) = of_word.into_iter().unzip();
        let words = AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()?;
        Some(Self { words, marks, rows })
    }

    fn sentences(&self, text: &str) -> Vec<Topics> {
        let mut found = self.found(text).peekable();
        let mut topics = Vec::new();
        for end in sentence_ends(text).chain([text.len()]) {
            let mut marks = Marks::default();
            while let Some((_, more)) = found.next_if(|(at, _)| *at < end) {
                marks = marks.and(more);
            }
            topics.push(self.topics(marks));
        }
        topics.retain(|topics| *topics != Topics::NONE);
        topics
    }

    /// Returns the last position and the meaning of each word that occurs in a text as a word of its own.
    fn found<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, Marks)> + 'a {
        let matches = self.words.find_overlapping_iter(text);
        matches
            .filter(|found| is_word(text.as_bytes(), found.start(), found.end()))
            .filter_map(|found| Some((found.end() - 1, *self.marks.get(found.pattern().as_usize())?)))
    }

    fn topics(&self, marks: Marks) -> Topics {
        let holds = |(_, needed): &&(Topic, Groups)| marks.groups & needed == *needed;
        let rows = self.rows.iter().filter(|_| marks.groups != 0).filter(holds);
        rows.fold(marks.topics, |topics, (topic, _)| topics.with(*topic))
    }
}

// === impl Marks ===

impl Marks {
    fn of(topic: Topic, names_only: bool) -> Self {
        let topics = Topics::of(&[topic]);
        match names_only {
            true => Self { in_names: topics, ..Self::default() },
            false => Self { topics, ..Self::default() },
        }
    }

    fn and(self, more: Self) -> Self {
        Self {
            groups: self.groups | more.groups,
            topics: self.topics.and(more.topics),
            in_names: self.in_names.and(more.in_names),
        }
    }
}

/// Returns whether the bytes from `start` to `end` are no part of a longer word. A plural `s` may follow. An
/// underscore joins words, unless the phrase has one itself: `billing_plan` is no plan, and
/// `tokens_per_minute` has `per_minute`.
fn is_word(text: &[u8], start: usize, end: usize) -> bool {
    let joins = !text[start..end].contains(&b'_');
    let is_letter =
        |at: usize| text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || (joins && *byte == b'_'));
    let begins = start == 0 || !is_letter(start) || !is_letter(start - 1);
    let ends = |end: usize| !is_letter(end - 1) || !is_letter(end);
    begins && (ends(end) || (matches!(text.get(end), Some(b's' | b'S')) && !is_letter(end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_compile() {
        assert!(LEXICON.is_some(), "there are more groups than bits");
        for row in tables() {
            for word in row.groups.iter().copied().flatten() {
                assert_eq!(*word, word.to_lowercase().trim(), "{word} can't match");
            }
        }
    }

    #[test]
    fn words_end_at_boundaries() {
        let topics = |text: &str| sentences(text).into_iter().fold(Topics::NONE, Topics::and);
        assert!(topics("Insufficient credits").has(Topic::Money));
        assert!(topics("INSUFFICIENT BALANCE.").has(Topic::Money));
        assert!(!topics("insufficient creditworthiness").has(Topic::Money));
        assert!(!topics("unknown field billing_balance, insufficient").has(Topic::Money));
        assert!(!topics("The balance is shown. Insufficient detail.").has(Topic::Money));
        assert!(topics("online_requests_per_minute exceeded").has(Topic::Short));
        assert!(topics("账户余额不足").has(Topic::Money));
        assert!(name("insufficient user quota").has(Topic::Money));
    }
}
