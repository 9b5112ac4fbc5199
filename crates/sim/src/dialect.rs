//! The APIs that a simulator can speak.

/// The API that a simulator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's API.
    ///
    /// Paths: `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/models`. Keys arrive in
    /// `Authorization: Bearer` or in Azure's `api-key`.
    OpenAi,
    /// Anthropic's API.
    ///
    /// Paths: `/v1/messages`, `/v1/messages/count_tokens`, `/v1/models`, and the OpenAI-compatible
    /// `/v1/chat/completions`. Keys arrive in `x-api-key` or in `Authorization: Bearer`.
    Anthropic,
    /// Gemini's API.
    ///
    /// Paths: `/v1beta/models/MODEL:generateContent`, `:streamGenerateContent`, `:embedContent` and
    /// `:countTokens`, with keys in `x-goog-api-key` or `?key=`; and the OpenAI-compatible
    /// `/v1beta/openai/chat/completions`, with keys in `Authorization: Bearer`.
    Gemini,
}
