//! Endpoints: the parts of an API, which not every provider has.
//!
//! Providers that copy OpenAI's API copy parts of it. A request for the other parts gets a 404 there, so a chain sends
//! each request only to links that have its endpoint.

use std::fmt;

use http::Method;

use crate::provider::stored_id;
use crate::text::words;

/// A part of an API, by the first known segment of its path: `/v1/embeddings` is [`Endpoint::Embeddings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Chat Completions: `/v1/chat/completions`.
    Chat,
    /// Completions of a text: `/v1/completions`.
    Completions,
    /// Embeddings: `/v1/embeddings`.
    Embeddings,
    /// Responses: `/v1/responses`.
    Responses,
    /// Responses over a WebSocket: an upgrade at `/v1/responses`.
    ResponsesWebSocket,
    /// The list of models: `/v1/models`.
    Models,
    /// Moderations: `/v1/moderations`.
    Moderations,
    /// Images: `/v1/images/…`.
    Images,
    /// Speech, transcription and translation: `/v1/audio/…`.
    Audio,
    /// Videos: `/v1/videos`.
    Videos,
    /// Files and uploads: `/v1/files`, `/v1/uploads`.
    Files,
    /// Batches: `/v1/batches`.
    Batches,
    /// Fine-tuning: `/v1/fine_tuning/…`.
    FineTuning,
    /// Vector stores: `/v1/vector_stores`.
    VectorStores,
    /// Assistants and their threads: `/v1/assistants`, `/v1/threads`.
    Assistants,
    /// Conversations: `/v1/conversations`.
    Conversations,
    /// Containers: `/v1/containers`.
    Containers,
    /// Evals and graders: `/v1/evals`.
    Evals,
    /// Realtime sessions: `/v1/realtime`, over a WebSocket, and the calls that prepare one.
    Realtime,
    /// Google's Live API, over a WebSocket: `/ws/google.ai.generativelanguage.…`.
    Live,
    /// Rerankings: `/v1/rerank`.
    Rerank,
    /// Anthropic's own API: `/v1/messages`, and all that goes with it.
    Messages,
    /// Google's own API: `/v1beta/models/MODEL:generateContent`, and all that goes with it.
    GenerateContent,
    /// Any other path.
    Other,
}

words!(Endpoint {
    Chat => "chat",
    Completions => "completions",
    Embeddings => "embeddings",
    Responses => "responses",
    ResponsesWebSocket => "responses_websocket",
    Models => "models",
    Moderations => "moderations",
    Images => "images",
    Audio => "audio",
    Videos => "videos",
    Files => "files",
    Batches => "batches",
    FineTuning => "fine_tuning",
    VectorStores => "vector_stores",
    Assistants => "assistants",
    Conversations => "conversations",
    Containers => "containers",
    Evals => "evals",
    Realtime => "realtime",
    Live => "live",
    Rerank => "rerank",
    Messages => "messages",
    GenerateContent => "generate_content",
    Other => "other",
});

/// A set of endpoints.
///
/// ```
/// use tower_key_rotation::provider::{Endpoint, Endpoints};
///
/// let served = Endpoints::COMMON.with(Endpoint::Responses).without(Endpoint::Completions);
/// assert!(served.contains(Endpoint::of_path("/v1/responses")));
/// assert!(!served.contains(Endpoint::of_path("/v1/audio/speech")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Endpoints(u32);

/// Methods of Google's API, which stand behind the name of a model: `models/MODEL:generateContent`.
const GOOGLE_METHODS: [&str; 12] = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
    "batchGenerateContent",
    "asyncBatchEmbedContent",
    "predict",
    "predictLongRunning",
    "generateAnswer",
    "rawPredict",
    "streamRawPredict",
];

/// The path of most requests.
const CHAT: &str = "/v1/chat/completions";

// === impl Endpoint ===

impl Endpoint {
    /// Returns the endpoint of a path, by its first known segment. [`Endpoint::Other`] if no segment is known.
    pub fn of_path(path: &str) -> Self {
        if path == CHAT {
            return Self::Chat;
        }
        if is_google_call(path) {
            return Self::GenerateContent;
        }
        let mut segments = path.as_bytes().split(|byte| *byte == b'/');
        segments.find_map(Self::of_segment).unwrap_or(Self::Other)
    }

    fn of_segment(segment: &[u8]) -> Option<Self> {
        Some(match segment {
            b"chat" => Self::Chat,
            b"completions" => Self::Completions,
            b"embeddings" => Self::Embeddings,
            b"responses" => Self::Responses,
            b"models" => Self::Models,
            b"moderations" => Self::Moderations,
            b"images" => Self::Images,
            b"audio" => Self::Audio,
            b"videos" => Self::Videos,
            b"files" | b"uploads" => Self::Files,
            b"batches" => Self::Batches,
            b"fine_tuning" | b"fine-tunes" => Self::FineTuning,
            b"vector_stores" => Self::VectorStores,
            b"assistants" | b"threads" => Self::Assistants,
            b"conversations" => Self::Conversations,
            b"containers" => Self::Containers,
            b"evals" => Self::Evals,
            b"realtime" => Self::Realtime,
            b"rerank" => Self::Rerank,
            b"messages" => Self::Messages,
            _ => return None,
        })
    }

    /// Returns whether everything at this endpoint belongs to the account that made it.
    const fn keeps_objects(self) -> bool {
        matches!(
            self,
            Self::Videos
                | Self::Files
                | Self::Batches
                | Self::FineTuning
                | Self::VectorStores
                | Self::Assistants
                | Self::Conversations
                | Self::Containers
                | Self::Evals
                | Self::Realtime
        )
    }

    /// Returns whether a request concerns objects that the provider keeps, so that no other company can serve it:
    /// files, batches, stored responses, fine-tuned models.
    pub(crate) fn is_bound(self, method: &Method, path: &str) -> bool {
        let calls = *method == Method::POST;
        let stored = || match self {
            Self::Chat | Self::Completions | Self::Responses => !calls,
            Self::Models => *method == Method::DELETE,
            _ => self.keeps_objects(),
        };
        stored() || stored_id::names_object(path)
    }
}

/// Returns whether a path calls a method of Google's API.
fn is_google_call(path: &str) -> bool {
    let colon = memchr::memrchr(b':', path.as_bytes());
    colon.is_some_and(|colon| GOOGLE_METHODS.contains(&&path[colon + 1..]))
}

// === impl Endpoints ===

impl Endpoints {
    /// No endpoint.
    pub const NONE: Self = Self(0);

    /// All endpoints, with those that this crate does not know.
    pub const ALL: Self = Self(u32::MAX);

    /// All endpoints of OpenAI's API, with those that this crate does not know.
    pub const OPENAI: Self =
        Self::ALL.without(Endpoint::Messages).without(Endpoint::GenerateContent).without(Endpoint::Live);

    /// The endpoints that most copies of OpenAI's API have: chat, completions, embeddings and models.
    pub const COMMON: Self =
        Self::of(&[Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings, Endpoint::Models]);

    /// Creates the set of these endpoints.
    pub const fn of(endpoints: &[Endpoint]) -> Self {
        let (mut set, mut next) = (Self::NONE, 0);
        while next < endpoints.len() {
            set = set.with(endpoints[next]);
            next += 1;
        }
        set
    }

    /// Adds an endpoint.
    #[must_use]
    pub const fn with(self, endpoint: Endpoint) -> Self {
        Self(self.0 | (1 << endpoint as u32))
    }

    /// Removes an endpoint.
    #[must_use]
    pub const fn without(self, endpoint: Endpoint) -> Self {
        Self(self.0 & !(1 << endpoint as u32))
    }

    /// Returns whether the set has an endpoint.
    pub const fn contains(self, endpoint: Endpoint) -> bool {
        self.0 & (1 << endpoint as u32) != 0
    }

    /// Iterates over the endpoints of the set.
    pub fn iter(self) -> impl Iterator<Item = Endpoint> {
        Endpoint::ALL.into_iter().filter(move |endpoint| self.contains(*endpoint))
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Endpoint::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_an_endpoint() {
        for (path, endpoint) in [
            ("/v1/chat/completions", Endpoint::Chat),
            ("/v1/completions", Endpoint::Completions),
            ("/llm/v1/embeddings", Endpoint::Embeddings),
            ("/v1/threads/thread_1/messages", Endpoint::Assistants),
            ("/v1/messages/batches", Endpoint::Messages),
            ("/v1/models/ft:gpt-4o:me", Endpoint::Models),
            ("/v1beta/models/g:generateContent", Endpoint::GenerateContent),
            ("/v1/uploads/upload_1/parts", Endpoint::Files),
            ("/v1/tea", Endpoint::Other),
            ("", Endpoint::Other),
        ] {
            assert_eq!(Endpoint::of_path(path), endpoint, "{path}");
        }
    }

    #[test]
    fn what_is_kept_is_bound() {
        for (method, path, bound) in [
            (Method::POST, "/v1/chat/completions", false),
            (Method::GET, "/v1/chat/completions", true),
            (Method::POST, "/v1/responses", false),
            (Method::POST, "/v1/responses/resp_0123456789abcdef/cancel", true),
            (Method::POST, "/v1/files", true),
            (Method::GET, "/v1/batches", true),
            (Method::GET, "/v1/models/gpt-4o", false),
            (Method::DELETE, "/v1/models/ft:gpt-4o:me", true),
            (Method::POST, "/v1/embeddings", false),
        ] {
            assert_eq!(Endpoint::of_path(path).is_bound(&method, path), bound, "{method} {path}");
        }
    }
}
