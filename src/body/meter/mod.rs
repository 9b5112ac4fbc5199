//! Metadata that a response reports about itself: token usage, and how far a stream has come.
//!
//! Everything here depends on the shape of a document, not on the provider. One provider speaks several
//! dialects: Gemini and Anthropic have OpenAI-compatible endpoints, Kimi and MiniMax have an
//! Anthropic-compatible one, and Vertex serves Claude. The dialects do not overlap. Documents are parsed into
//! the few fields that matter; the rest is skipped and not kept.
//!
//! Usage is only what the provider reports as usage. Gemini leaves thinking out of the output and includes it
//! in the total. The result of a token count that was requested (`countTokens`) is not usage.

mod completion;
mod count;
mod progress;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use self::completion::{Completion, Ending};
pub(crate) use self::progress::{Progress, begins_thinking, progress};
pub use self::usage::Usage;
