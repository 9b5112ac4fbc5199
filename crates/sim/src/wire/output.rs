//! The output of the simulated model, independent of the dialect.

use serde_json::Value;

use super::wanted::Wanted;
use crate::answer::{AnswerKind, SimAnswer};
use crate::sample::sample;

/// Number of characters of JSON in one event of a stream.
const JSON_PIECE: usize = 12;

/// Words of a response. They repeat if more are wanted.
const WORDS: [&str; 9] = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"];

/// The output of one call.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) kind: OutputKind,
    /// Tokens that the response reports for it.
    pub(crate) tokens: u64,
}

/// The content of an output.
#[derive(Clone, Debug)]
pub(crate) enum OutputKind {
    /// Text, in the pieces in which a stream sends it.
    Text(Vec<String>),
    Call(ToolCall),
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

// === impl Output ===

impl Output {
    /// Returns the output that the body of a request asks for. A text has this many words.
    pub(crate) fn of(body: &Value, words: usize) -> Self {
        match Wanted::of(body) {
            Wanted::Text => Self::text(pieces(words)),
            Wanted::Json(schema) => Self::text(json_pieces(&sample(&schema).to_string())),
            Wanted::Choice(schema) => {
                let choice = sample(schema);
                Self::text(vec![choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)])
            }
            Wanted::Call(name, schema) => {
                let call = ToolCall { name: name.to_owned(), arguments: sample(schema) };
                Self { kind: OutputKind::Call(call), tokens: words as u64 }
            }
        }
    }

    /// Returns the output that the test chose.
    pub(crate) fn chosen(answer: SimAnswer, body: &Value, words: usize) -> Self {
        match answer.kind {
            AnswerKind::Usual => Self::of(body, words),
            AnswerKind::Text(text) => Self::text(text.split_inclusive(' ').map(str::to_owned).collect()),
            AnswerKind::Call(name, arguments) => {
                Self { kind: OutputKind::Call(ToolCall { name, arguments }), tokens: words as u64 }
            }
        }
    }

    /// Returns the output of a call that is refused. Errors about limits count it as this many words.
    pub(crate) fn none(words: usize) -> Self {
        Self { kind: OutputKind::Text(Vec::new()), tokens: words as u64 }
    }

    /// Returns an output of text, whose pieces count as one token each.
    pub(crate) fn text(pieces: Vec<String>) -> Self {
        Self { tokens: pieces.len() as u64, kind: OutputKind::Text(pieces) }
    }

    /// Returns the call of a tool, if that is the output.
    pub(crate) fn call(&self) -> Option<&ToolCall> {
        match &self.kind {
            OutputKind::Call(call) => Some(call),
            OutputKind::Text(_) => None,
        }
    }

    /// Returns the pieces of the text. A call has none.
    pub(crate) fn pieces(&self) -> &[String] {
        match &self.kind {
            OutputKind::Text(pieces) => pieces,
            OutputKind::Call(_) => &[],
        }
    }
}

// === impl ToolCall ===

impl ToolCall {
    /// Returns the arguments as JSON, in the pieces in which a stream sends them.
    pub(crate) fn pieces(&self) -> Vec<String> {
        json_pieces(&self.arguments.to_string())
    }
}

/// Returns words, each but the first with a space before it.
fn pieces(words: usize) -> Vec<String> {
    let word = |at: usize| WORDS.get(at % WORDS.len()).copied().unwrap_or("word");
    (0..words).map(|at| if at == 0 { word(at).to_owned() } else { format!(" {}", word(at)) }).collect()
}

fn json_pieces(json: &str) -> Vec<String> {
    let letters: Vec<char> = json.chars().collect();
    letters.chunks(JSON_PIECE).map(|piece| piece.iter().collect()).collect()
}
