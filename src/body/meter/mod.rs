//! What an answer says about itself: tokens used, and how far a stream has come.
//!
//! Everything here goes by the shape of a document, not by the provider: one provider speaks several
//! dialects (Gemini and Anthropic have OpenAI-compatible endpoints, Kimi and MiniMax an Anthropic one,
//! Vertex serves Claude), and the dialects do not overlap. Documents are parsed into the few fields that
//! matter; the rest is skipped without being kept.
//!
//! Usage is what the provider reports as such. Gemini leaves thinking out of the output and counts it
//! in the total; a count that was asked for (`countTokens`) is no usage.

mod completion;
mod progress;
mod usage;

pub(crate) use self::completion::Completion;
pub use self::progress::{Ending, Progress, ending, progress};
pub use self::usage::Usage;
