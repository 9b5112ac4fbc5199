//! Derives the endpoint and the dialect of a request from its path.

use super::builder::Dialect;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Responses,
    Embeddings,
    Models,
    Messages,
    CountTokens,
    Generate,
    Unknown,
}

/// The dialect of a response. The OpenAI-compatible endpoints differ from OpenAI only in headers and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    OpenAi,
    Anthropic,
    AnthropicCompat,
    Gemini,
    GeminiCompat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Whole,
    Sse,
    /// Gemini's stream without `alt=sse`: one JSON array, sent element by element.
    Array,
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    pub(super) voice: Voice,
    pub(super) framing: Framing,
    /// Model named in the path. Most endpoints name it in the body instead.
    pub(super) model: Option<String>,
}

// === impl Route ===

impl Route {
    pub(super) fn of(dialect: Dialect, path: &str, query: &str) -> Self {
        match dialect {
            Dialect::OpenAi => Self::compatible(path, Voice::OpenAi),
            Dialect::Gemini if path.contains("/openai/") => Self::compatible(path, Voice::GeminiCompat),
            Dialect::Gemini => Self::gemini(path, query),
            Dialect::Anthropic => Self::anthropic(path),
        }
    }

    /// Returns whether an error is wrapped in an array of one element.
    pub(super) fn wraps_errors(&self) -> bool {
        self.voice == Voice::GeminiCompat || self.framing == Framing::Array
    }

    fn new(endpoint: Endpoint, voice: Voice) -> Self {
        Self { endpoint, voice, framing: Framing::Whole, model: None }
    }

    fn compatible(path: &str, voice: Voice) -> Self {
        let endpoint = if path.ends_with("/chat/completions") {
            Endpoint::Chat
        } else if path.ends_with("/embeddings") {
            Endpoint::Embeddings
        } else if path.ends_with("/responses") && voice == Voice::OpenAi {
            Endpoint::Responses
        } else if path.ends_with("/models") || path.contains("/models/") {
            Endpoint::Models
        } else {
            Endpoint::Unknown
        };
        let deployment = path.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next());
        Self { model: deployment.map(str::to_owned), ..Self::new(endpoint, voice) }
    }

    fn anthropic(path: &str) -> Self {
        if path.ends_with("/messages") {
            Self::new(Endpoint::Messages, Voice::Anthropic)
        } else if path.ends_with("/messages/count_tokens") {
            Self::new(Endpoint::CountTokens, Voice::Anthropic)
        } else if path.ends_with("/chat/completions") {
            Self::new(Endpoint::Chat, Voice::AnthropicCompat)
        } else if path.ends_with("/models") || path.contains("/models/") {
            Self::new(Endpoint::Models, Voice::Anthropic)
        } else {
            Self::new(Endpoint::Unknown, Voice::Anthropic)
        }
    }

    fn gemini(path: &str, query: &str) -> Self {
        if path.ends_with("/models") {
            return Self::new(Endpoint::Models, Voice::Gemini);
        }
        let named = path.split_once("/models/").map(|(_, rest)| rest);
        let Some((model, method)) = named.and_then(|rest| rest.split_once(':')) else {
            let endpoint = if named.is_some() { Endpoint::Models } else { Endpoint::Unknown };
            return Self::new(endpoint, Voice::Gemini);
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
        Self { endpoint, voice: Voice::Gemini, framing, model: Some(model.to_owned()) }
    }
}
