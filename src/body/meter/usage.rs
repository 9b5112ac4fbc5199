//! Token usage of a response or a stream.

use std::fmt;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName};
use memchr::memmem::{self, Finder};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::body::meter::count::{Count, Lenient, number};
use crate::body::sse::Event;

const BEDROCK_INPUT: HeaderName = HeaderName::from_static("x-amzn-bedrock-input-token-count");
const BEDROCK_OUTPUT: HeaderName = HeaderName::from_static("x-amzn-bedrock-output-token-count");

/// Token counts as the provider reports them, in the documents of any known API.
///
/// The shape of a document decides how it is read, not the provider: one provider has several dialects. Usage is
/// only what the provider reports as usage. Gemini leaves thinking out of the output and includes it in the total.
/// The result of a token count that was requested (`countTokens`) is not usage.
///
/// ```
/// use tower_key_rotation::body::Usage;
///
/// let body = br#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":30,"total_tokens":42}}"#;
/// let usage = Usage::from_body(body).expect("the response reports its usage");
/// assert_eq!((usage.input_tokens, usage.output_tokens), (Some(12), Some(30)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the response. Gemini does not include thinking here.
    pub output_tokens: Option<u64>,
    /// All tokens, including thinking.
    pub total_tokens: Option<u64>,
}

/// The members of a response or an event that may hold usage, in all dialects.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    /// Chat Completions, Responses, Messages and Converse. In a stream, `null` in every chunk but the last.
    usage: Option<Counts>,
    /// Gemini.
    #[serde(rename = "usageMetadata")]
    usage_metadata: Option<GoogleCounts>,
    /// Events of Responses.
    response: Option<Lenient<Holder>>,
    /// Anthropic's `message_start`.
    message: Option<Lenient<Holder>>,
    /// Cohere's `message-end`.
    delta: Option<Lenient<Holder>>,
    /// Streams of Groq.
    x_groq: Option<Lenient<Holder>>,
    /// Cohere v1.
    meta: Option<Lenient<Counts>>,
    /// Ollama's own API, like the next member.
    prompt_eval_count: Option<Count>,
    eval_count: Option<Count>,
}

#[derive(Deserialize)]
struct Holder {
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    meta: Option<Counts>,
}

#[derive(Default)]
struct Counts {
    input: Option<Count>,
    output: Option<Count>,
    total: Option<Count>,
    /// Cohere's billed tokens. The `tokens` beside them include a preamble that Cohere adds.
    billed: Option<Box<Self>>,
}

/// The names of counts in all dialects.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    #[serde(alias = "prompt_tokens", alias = "inputTokens")]
    InputTokens,
    #[serde(alias = "completion_tokens", alias = "outputTokens")]
    OutputTokens,
    #[serde(alias = "totalTokens")]
    TotalTokens,
    BilledUnits,
    #[serde(other)]
    Other,
}

/// Visitor of the members of a usage object.
struct Members<'a> {
    counts: &'a mut Counts,
    /// Whether to stop once all three counts are known: only details follow them in the usage object.
    may_stop: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GoogleCounts {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<Count>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<Count>,
    #[serde(rename = "totalTokenCount")]
    total: Option<Count>,
}

// === impl Usage ===

impl Usage {
    /// Reads the usage from a response body that is not an event stream. `None` if the body reports none. Of an
    /// array of chunks, which Gemini sends as a stream without `alt=sse`, the last chunk with usage counts.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        let body = body.trim_ascii_start();
        match body.first()? {
            b'{' => only_usage(body).or_else(|| parse(Some(body).filter(|body| may_hold_usage(body))?)),
            b'[' => {
                serde_json::from_slice::<Vec<Document>>(body).ok()?.iter().rev().find_map(Document::usage)
            }
            _ => None,
        }
    }

    /// Reads the usage from one event of a stream. `None` if the event reports none. Dialects report cumulative
    /// counts: combine the events of a stream with [`merge`](Self::merge).
    pub fn from_event(event: &Event) -> Option<Self> {
        memmem::find(event.data(), b"sage")?;
        parse(event.data())
    }

    /// Reads the usage from the headers that AWS Bedrock sends. `None` if there are none.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let read = |name: &HeaderName| headers.get(name)?.to_str().ok()?.trim().parse().ok();
        Self::new(read(&BEDROCK_INPUT), read(&BEDROCK_OUTPUT), None)
    }

    /// Updates the counts with those of a later event of the same stream. Counts that the later event lacks do not
    /// change. The total is that of the later event if it reports input and output, otherwise the sum of both.
    pub fn merge(&mut self, later: Self) {
        let input = later.input_tokens.or(self.input_tokens);
        let output = later.output_tokens.or(self.output_tokens);
        let sum = input.zip(output).map(|(input, output)| input.saturating_add(output));
        let total = if later.is_complete() { later.total_tokens } else { sum };
        *self =
            Self { input_tokens: input, output_tokens: output, total_tokens: total.or(later.total_tokens) };
    }

    /// Returns the number of tokens in the prompt, or zero if it is not known.
    pub(crate) fn input(&self) -> u64 {
        self.input_tokens.unwrap_or(0)
    }

    /// Returns the number of tokens in the response, or zero if it is not known. Tokens in the total that are
    /// neither input nor output are thinking, which is billed as output.
    pub(crate) fn output(&self) -> u64 {
        let beyond = self.total_tokens.unwrap_or(0).saturating_sub(self.input());
        beyond.max(self.output_tokens.unwrap_or(0))
    }

    const fn is_complete(&self) -> bool {
        self.input_tokens.is_some() && self.output_tokens.is_some()
    }

    /// Creates usage from counts, and derives a missing count from the other two. Embeddings report only the prompt
    /// and the total, and rerankers only the total, which then counts as input.
    fn new(input: Option<u64>, output: Option<u64>, total: Option<u64>) -> Option<Self> {
        let (input, output, total) = match (input, output, total) {
            (None, None, None) => return None,
            (None, None, Some(total)) => (Some(total), Some(0), Some(total)),
            (Some(input), None, Some(total)) => (Some(input), Some(total.saturating_sub(input)), Some(total)),
            (None, Some(output), Some(total)) => {
                (Some(total.saturating_sub(output)), Some(output), Some(total))
            }
            (Some(input), Some(output), None) => {
                (Some(input), Some(output), Some(input.saturating_add(output)))
            }
            known => known,
        };
        Some(Self { input_tokens: input, output_tokens: output, total_tokens: total })
    }
}

/// Reads only the usage object, which comes last in long responses. `None` unless exactly one member is named
/// `usage`. Within a text, the name has a backslash before its quotation mark.
fn only_usage(document: &[u8]) -> Option<Usage> {
    static MEMBER: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"usage\":"));
    let at = MEMBER.find(document)?;
    let (before, counts) = (&document[..at], &document[at + MEMBER.needle().len()..]);
    if before.ends_with(b"\\") || MEMBER.find(counts).is_some() {
        return None;
    }
    let mut read = Counts::default();
    let mut source = serde_json::Deserializer::from_slice(counts);
    let ended = source.deserialize_map(Members { counts: &mut read, may_stop: true });
    (ended.is_ok() || read.are_complete()).then(|| read.usage())?
}

/// Returns whether a document may hold usage: whether it has a part of a member's name that all dialects share.
fn may_hold_usage(document: &[u8]) -> bool {
    let has = |name: &[u8]| memmem::find(document, name).is_some();
    has(b"sage") || has(b"meta") || has(b"eval_count")
}

fn parse(document: &[u8]) -> Option<Usage> {
    serde_json::from_slice::<Document>(document).ok()?.usage()
}

// === impl Document ===

impl Document {
    fn usage(&self) -> Option<Usage> {
        let held = [&self.response, &self.message, &self.delta, &self.x_groq];
        let counts = self.usage.as_ref().and_then(Counts::usage);
        let nested = || held.into_iter().flatten().find_map(|holder| holder.known()?.usage());
        let google = || self.usage_metadata.as_ref().and_then(GoogleCounts::usage);
        let cohere = || self.meta.as_ref().and_then(Lenient::known).and_then(Counts::usage);
        let ollama = || Usage::new(number(self.prompt_eval_count), number(self.eval_count), None);
        counts.or_else(nested).or_else(google).or_else(cohere).or_else(ollama)
    }
}

impl Holder {
    fn usage(&self) -> Option<Usage> {
        let usage = self.usage.as_ref().and_then(Counts::usage);
        usage.or_else(|| self.meta.as_ref().and_then(Counts::usage))
    }
}

impl Counts {
    fn usage(&self) -> Option<Usage> {
        let Self { input, output, total, billed } = self;
        match billed {
            Some(billed) => billed.usage(),
            None => Usage::new(number(*input), number(*output), number(*total)),
        }
    }

    const fn are_complete(&self) -> bool {
        self.input.is_some() && self.output.is_some() && self.total.is_some()
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = Self::default();
        deserializer.deserialize_map(Members { counts: &mut counts, may_stop: false })?;
        Ok(counts)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counts of tokens")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { counts, may_stop } = self;
        while let Some(member) = members.next_key()? {
            match member {
                Member::InputTokens => counts.input = members.next_value()?,
                Member::OutputTokens => counts.output = members.next_value()?,
                Member::TotalTokens => counts.total = members.next_value()?,
                Member::BilledUnits => counts.billed = members.next_value()?,
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
            }
            if may_stop && counts.are_complete() {
                break;
            }
        }
        Ok(())
    }
}

impl GoogleCounts {
    fn usage(&self) -> Option<Usage> {
        let Self { prompt, candidates, total } = self;
        let (input, output, total) = (number(*prompt), number(*candidates), number(*total));
        // A chunk with only thinking so far has no candidates: its output is 0, not the rest of the total.
        match (input, output, total) {
            (None, None, None) => None,
            (input, output, total) => Some(Usage {
                input_tokens: input,
                output_tokens: output.or_else(|| input.map(|_| 0)),
                total_tokens: total,
            }),
        }
    }
}
