//! Metadata that a response reports about itself: token usage, and how far a stream has come.
//!
//! Everything here depends on the shape of a document, not on the provider. One provider speaks several
//! dialects: Gemini and Anthropic have OpenAI-compatible endpoints, Kimi and MiniMax have an
//! Anthropic-compatible one, and Vertex serves Claude. The dialects do not overlap. Documents are parsed into
//! the few fields that matter; the rest is skipped and not kept.
//!
//! Usage is only what the provider reports as usage. Gemini leaves thinking out of the output and includes it
//! in the total. The result of a token count that was requested (`countTokens`) is not usage.
//!
//! ```
//! use tower_key_rotation::body::meter::Usage;
//!
//! let body = br#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":30,"total_tokens":42}}"#;
//! let usage = Usage::from_body(body).expect("the response reports its usage");
//! assert_eq!((usage.input_tokens, usage.output_tokens), (Some(12), Some(30)));
//! ```

mod completion;
mod count;
mod progress;
mod usage;

pub(crate) use self::completion::Completion;
pub use self::progress::{Ending, Progress, ending, progress};
pub use self::usage::Usage;
