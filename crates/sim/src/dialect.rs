//! The APIs that a simulator can speak.

/// The API that a simulator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's API.
    ///
    /// Paths below `/v1`: `chat/completions`, `responses` (with `GET`, `DELETE` and `input_items` of one),
    /// `conversations`, `completions`, `embeddings`, `models`, `models/ID`, `files`, `batches`,
    /// `images/generations`, `images/edits`, `images/variations`, `audio/speech`, `audio/transcriptions`,
    /// `audio/translations` and `moderations`. Keys arrive in `Authorization: Bearer` or in Azure's `api-key`.
    OpenAi,
    /// Anthropic's API.
    ///
    /// Paths: `/v1/messages`, `/v1/messages/count_tokens`, `/v1/models`, `/v1/models/ID`, and the OpenAI-compatible
    /// `/v1/chat/completions`. Keys arrive in `x-api-key` or in `Authorization: Bearer`.
    Anthropic,
    /// Gemini's API.
    ///
    /// Paths: `/v1beta/models/MODEL:generateContent`, `:streamGenerateContent`, `:embedContent`,
    /// `:batchEmbedContents` and `:countTokens`, `/v1beta/models` and `/v1beta/models/MODEL`, with keys in `x-goog-api-key` or `?key=`; and the OpenAI-compatible
    /// `/v1beta/openai/chat/completions`, with keys in `Authorization: Bearer`.
    Gemini,
}
