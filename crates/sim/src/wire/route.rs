//! The endpoint and the response format of a request, derived from its method and path.

use http::Method;

use crate::dialect::Dialect;

/// The operation that a method and a path stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Responses,
    Response,
    DeleteResponse,
    ResponseInput,
    CreateConversation,
    Conversation,
    DeleteConversation,
    Embeddings,
    Models,
    Model,
    Messages,
    CountTokens,
    Generate,
    CreateFile,
    Files,
    File,
    FileContent,
    DeleteFile,
    CreateBatch,
    Batches,
    Batch,
    CancelBatch,
    BatchResults,
    DeleteBatch,
    CreateCache,
    Caches,
    Cache,
    UpdateCache,
    DeleteCache,
    Images,
    Speech,
    Transcription,
    Moderations,
    /// A Realtime session, over a WebSocket.
    Realtime,
    /// Responses, over a WebSocket.
    ResponsesSocket,
    /// Gemini's Live API, over a WebSocket.
    Live,
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
    /// Id of the object that the path names.
    pub(crate) id: Option<String>,
}

/// Methods and the ends of paths. `*` stands for an id.
type Table = [(&'static str, &'static str, Endpoint)];

const COMPATIBLE: &Table = &[
    ("POST", "chat/completions", Endpoint::Chat),
    ("POST", "embeddings", Endpoint::Embeddings),
    ("GET", "models", Endpoint::Models),
    ("GET", "models/*", Endpoint::Model),
];

const OPENAI: &Table = &[
    ("POST", "completions", Endpoint::Completions),
    ("POST", "responses", Endpoint::Responses),
    ("GET", "responses/*", Endpoint::Response),
    ("DELETE", "responses/*", Endpoint::DeleteResponse),
    ("GET", "responses/*/input_items", Endpoint::ResponseInput),
    ("POST", "conversations", Endpoint::CreateConversation),
    ("GET", "conversations/*", Endpoint::Conversation),
    ("DELETE", "conversations/*", Endpoint::DeleteConversation),
    ("POST", "files", Endpoint::CreateFile),
    ("GET", "files", Endpoint::Files),
    ("GET", "files/*", Endpoint::File),
    ("GET", "files/*/content", Endpoint::FileContent),
    ("DELETE", "files/*", Endpoint::DeleteFile),
    ("POST", "batches", Endpoint::CreateBatch),
    ("GET", "batches", Endpoint::Batches),
    ("GET", "batches/*", Endpoint::Batch),
    ("POST", "batches/*/cancel", Endpoint::CancelBatch),
    ("POST", "images/generations", Endpoint::Images),
    ("POST", "images/edits", Endpoint::Images),
    ("POST", "images/variations", Endpoint::Images),
    ("POST", "audio/speech", Endpoint::Speech),
    ("POST", "audio/transcriptions", Endpoint::Transcription),
    ("POST", "audio/translations", Endpoint::Transcription),
    ("POST", "moderations", Endpoint::Moderations),
    ("GET", "realtime", Endpoint::Realtime),
    ("GET", "responses", Endpoint::ResponsesSocket),
];

const ANTHROPIC: &Table = &[
    ("POST", "messages", Endpoint::Messages),
    ("POST", "messages/count_tokens", Endpoint::CountTokens),
    ("POST", "chat/completions", Endpoint::Chat),
    ("GET", "models", Endpoint::Models),
    ("GET", "models/*", Endpoint::Model),
    ("POST", "files", Endpoint::CreateFile),
    ("GET", "files", Endpoint::Files),
    ("GET", "files/*", Endpoint::File),
    ("GET", "files/*/content", Endpoint::FileContent),
    ("DELETE", "files/*", Endpoint::DeleteFile),
    ("POST", "messages/batches", Endpoint::CreateBatch),
    ("GET", "messages/batches", Endpoint::Batches),
    ("GET", "messages/batches/*", Endpoint::Batch),
    ("GET", "messages/batches/*/results", Endpoint::BatchResults),
    ("POST", "messages/batches/*/cancel", Endpoint::CancelBatch),
    ("DELETE", "messages/batches/*", Endpoint::DeleteBatch),
];

const GEMINI: &Table = &[
    ("GET", "models", Endpoint::Models),
    ("GET", "models/*", Endpoint::Model),
    ("POST", "upload/*/files", Endpoint::CreateFile),
    ("GET", "files", Endpoint::Files),
    ("GET", "files/*", Endpoint::File),
    ("DELETE", "files/*", Endpoint::DeleteFile),
    ("POST", "cachedContents", Endpoint::CreateCache),
    ("GET", "cachedContents", Endpoint::Caches),
    ("GET", "cachedContents/*", Endpoint::Cache),
    ("PATCH", "cachedContents/*", Endpoint::UpdateCache),
    ("DELETE", "cachedContents/*", Endpoint::DeleteCache),
    ("GET", "batches", Endpoint::Batches),
    ("GET", "batches/*", Endpoint::Batch),
    ("DELETE", "batches/*", Endpoint::DeleteBatch),
];

// === impl Route ===

impl Route {
    pub(crate) fn of(dialect: Dialect, method: &Method, path: &str, query: &str) -> Self {
        match dialect {
            Dialect::OpenAi => Self::compatible(method, path, Format::OpenAi).with_model_in(query),
            Dialect::Gemini if path.contains("/openai/") => {
                Self::compatible(method, path, Format::GeminiCompat)
            }
            Dialect::Gemini if path.contains("BidiGenerateContent") => {
                Self::new(Endpoint::Live, Format::Gemini, None)
            }
            Dialect::Gemini => Self::gemini(method, path, query),
            Dialect::Anthropic => Self::anthropic(method, path),
        }
    }

    /// Returns whether an error is wrapped in an array of one element.
    pub(crate) fn wraps_errors(&self) -> bool {
        self.format == Format::GeminiCompat || self.framing == Framing::Array
    }

    /// Takes the model of a Realtime session from the query.
    fn with_model_in(mut self, query: &str) -> Self {
        if self.endpoint == Endpoint::Realtime {
            self.model = query.split('&').find_map(|pair| pair.strip_prefix("model=")).map(str::to_owned);
        }
        self
    }

    /// Returns whether the endpoint is a WebSocket.
    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self.endpoint, Endpoint::Realtime | Endpoint::ResponsesSocket | Endpoint::Live)
    }

    /// Returns whether the request is a step of Google's resumable upload.
    pub(super) fn uploads(&self) -> bool {
        self.format == Format::Gemini && self.endpoint == Endpoint::CreateFile
    }

    fn new(endpoint: Endpoint, format: Format, id: Option<&str>) -> Self {
        let model = id.filter(|_| endpoint == Endpoint::Model).map(str::to_owned);
        Self { endpoint, format, framing: Framing::Whole, model, id: id.map(str::to_owned) }
    }

    fn compatible(method: &Method, path: &str, format: Format) -> Self {
        let own = if format == Format::OpenAi { OPENAI } else { &[] };
        let found = find(COMPATIBLE, method, path).or_else(|| find(own, method, path));
        let (endpoint, id) = found.unwrap_or((Endpoint::Unknown, None));
        let mut route = Self::new(endpoint, format, id);
        let deployment = path.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next());
        route.model = route.model.or_else(|| deployment.map(str::to_owned));
        route
    }

    fn anthropic(method: &Method, path: &str) -> Self {
        let (endpoint, id) = find(ANTHROPIC, method, path).unwrap_or((Endpoint::Unknown, None));
        // The format of a wrong method's error is that of the path.
        let compatible = path.ends_with("/chat/completions");
        let format = if compatible { Format::AnthropicCompat } else { Format::Anthropic };
        Self::new(endpoint, format, id)
    }

    fn gemini(method: &Method, path: &str, query: &str) -> Self {
        let last = path.split_once("/models/").map(|(_, rest)| rest);
        let Some((model, operation)) = last.and_then(|rest| rest.split_once(':')) else {
            let (endpoint, id) = gemini_object(method, path).unwrap_or((Endpoint::Unknown, None));
            return Self::new(endpoint, Format::Gemini, id);
        };
        let endpoint = match operation {
            _ if method != Method::POST => Endpoint::Unknown,
            "generateContent" | "streamGenerateContent" => Endpoint::Generate,
            "embedContent" | "batchEmbedContents" => Endpoint::Embeddings,
            "countTokens" => Endpoint::CountTokens,
            "batchGenerateContent" => Endpoint::CreateBatch,
            _ => Endpoint::Unknown,
        };
        let framing = match operation {
            "streamGenerateContent" if query.split('&').any(|pair| pair == "alt=sse") => Framing::Sse,
            "streamGenerateContent" => Framing::Array,
            _ => Framing::Whole,
        };
        Self { framing, model: Some(model.to_owned()), ..Self::new(endpoint, Format::Gemini, None) }
    }
}

/// Returns the endpoint of a path of Gemini's API that names no operation of a model, and the id in the path.
fn gemini_object<'a>(method: &Method, path: &'a str) -> Option<(Endpoint, Option<&'a str>)> {
    match path.rsplit_once(':') {
        Some((object, "cancel")) if method == Method::POST => {
            let (_, id) = find(GEMINI, &Method::GET, object).filter(|(it, _)| *it == Endpoint::Batch)?;
            Some((Endpoint::CancelBatch, id))
        }
        _ => find(GEMINI, method, path),
    }
}

/// Returns the endpoint with this method and end of the path, and the id in the path. Paths may begin with
/// anything, such as a version or a deployment.
fn find<'a>(table: &Table, method: &Method, path: &'a str) -> Option<(Endpoint, Option<&'a str>)> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    table.iter().filter(|(name, ..)| method.as_str() == *name).find_map(|(_, pattern, endpoint)| {
        let wanted: Vec<&str> = pattern.split('/').collect();
        let end = segments.get(segments.len().checked_sub(wanted.len())?..)?;
        let same = end.iter().zip(&wanted).all(|(found, wanted)| *wanted == "*" || found == wanted);
        let id = end.iter().zip(&wanted).find(|(_, wanted)| **wanted == "*").map(|(found, _)| *found);
        same.then_some((*endpoint, id))
    })
}
