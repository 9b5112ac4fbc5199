//! The endpoint and the response format of a request, derived from its path.

use crate::dialect::Dialect;

/// The operation that a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Responses,
    Embeddings,
    Models,
    Messages,
    CountTokens,
    Generate,
    Unknown,
}

/// The format of a response. The OpenAI-compatible endpoints differ from OpenAI only in headers and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenAi,
    Anthropic,
    AnthropicCompat,
    Gemini,
    GeminiCompat,
}

/// The framing of a response that the path alone decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Whole,
    /// Server-sent events.
    Sse,
    /// Gemini's stream without `alt=sse`: one JSON array, sent element by element.
    Array,
}

/// The properties of a path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) format: Format,
    pub(crate) framing: Framing,
    /// Model named in the path. Most endpoints name it in the body instead.
    pub(crate) model: Option<String>,
}

// === impl Route ===

impl Route {
    pub(crate) fn of(dialect: Dialect, path: &str, query: &str) -> Self {
        match dialect {
            Dialect::OpenAi => Self::compatible(path, Format::OpenAi),
            Dialect::Gemini if path.contains("/openai/") => Self::compatible(path, Format::GeminiCompat),
            Dialect::Gemini => Self::gemini(path, query),
            Dialect::Anthropic => Self::anthropic(path),
        }
    }

    /// Returns whether an error is wrapped in an array of one element.
    pub(crate) fn wraps_errors(&self) -> bool {
        self.format == Format::GeminiCompat || self.framing == Framing::Array
    }

    fn new(endpoint: Endpoint, format: Format) -> Self {
        Self { endpoint, format, framing: Framing::Whole, model: None }
    }

    fn compatible(path: &str, format: Format) -> Self {
        let endpoint = if path.ends_with("/chat/completions") {
            Endpoint::Chat
        } else if path.ends_with("/embeddings") {
            Endpoint::Embeddings
        } else if path.ends_with("/responses") && format == Format::OpenAi {
            Endpoint::Responses
        } else if path.ends_with("/models") || path.contains("/models/") {
            Endpoint::Models
        } else {
            Endpoint::Unknown
        };
        let deployment = path.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next());
        Self { model: deployment.map(str::to_owned), ..Self::new(endpoint, format) }
    }

    fn anthropic(path: &str) -> Self {
        if path.ends_with("/messages") {
            Self::new(Endpoint::Messages, Format::Anthropic)
        } else if path.ends_with("/messages/count_tokens") {
            Self::new(Endpoint::CountTokens, Format::Anthropic)
        } else if path.ends_with("/chat/completions") {
            Self::new(Endpoint::Chat, Format::AnthropicCompat)
        } else if path.ends_with("/models") || path.contains("/models/") {
            Self::new(Endpoint::Models, Format::Anthropic)
        } else {
            Self::new(Endpoint::Unknown, Format::Anthropic)
        }
    }

    fn gemini(path: &str, query: &str) -> Self {
        if path.ends_with("/models") {
            return Self::new(Endpoint::Models, Format::Gemini);
        }
        let named = path.split_once("/models/").map(|(_, rest)| rest);
        let Some((model, method)) = named.and_then(|rest| rest.split_once(':')) else {
            let endpoint = if named.is_some() { Endpoint::Models } else { Endpoint::Unknown };
            return Self::new(endpoint, Format::Gemini);
        };
        let endpoint = match method {
            "generateContent" | "streamGenerateContent" => Endpoint::Generate,
            "embedContent" => Endpoint::Embeddings,
            "countTokens" => Endpoint::CountTokens,
            _ => Endpoint::Unknown,
        };
        let framing = match method {
            "streamGenerateContent" if query.split('&').any(|pair| pair == "alt=sse") => Framing::Sse,
            "streamGenerateContent" => Framing::Array,
            _ => Framing::Whole,
        };
        Self { endpoint, format: Format::Gemini, framing, model: Some(model.to_owned()) }
    }
}
