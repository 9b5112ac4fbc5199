//! The parts of a request body that the simulator reads.

use serde_json::Value;

use super::route::{Endpoint, Framing, Route};

/// The fields of a request body that decide the response.
#[derive(Debug, Default)]
pub(crate) struct BodyFields {
    /// Model that the path or the body names.
    pub(crate) model: Option<String>,
    pub(crate) streamed: bool,
    /// Whether a stream of chat completions ends with its usage.
    pub(crate) include_usage: bool,
    /// Message of the error in the body, if there is one.
    pub(crate) error: Option<&'static str>,
}

// === impl BodyFields ===

impl BodyFields {
    /// Reads a body, and returns it as JSON too. Endpoints without a body have only the model of their path.
    pub(crate) fn read(route: &Route, body: &[u8]) -> (Self, Value) {
        if !has_body(route.endpoint) {
            return (Self { model: route.model.clone(), ..Self::default() }, Value::Null);
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) if value.is_object() => (Self::of(route, &value), value),
            _ => {
                let error = Some("We could not parse the JSON body of your request.");
                (Self { model: route.model.clone(), error, ..Self::default() }, Value::Null)
            }
        }
    }

    pub(super) fn of(route: &Route, value: &Value) -> Self {
        let model = route.model.clone().or_else(|| value["model"].as_str().map(str::to_owned));
        let streamed = match route.endpoint {
            Endpoint::Chat | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages => {
                value["stream"] == true
            }
            _ => route.framing != Framing::Whole,
        };
        Self {
            error: if model.is_none() && needs_model(route.endpoint) {
                Some("you must provide a model parameter")
            } else {
                None
            },
            model,
            streamed,
            include_usage: value["stream_options"]["include_usage"] == true,
        }
    }
}

/// Returns whether requests to this endpoint have a body that matters.
fn has_body(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::CreateConversation
            | Endpoint::CreateFile
            | Endpoint::CreateBatch
            | Endpoint::CreateCache
            | Endpoint::UpdateCache
            | Endpoint::Images
            | Endpoint::Moderations
    ) || needs_model(endpoint)
}

fn needs_model(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Chat
            | Endpoint::Completions
            | Endpoint::Responses
            | Endpoint::Embeddings
            | Endpoint::Messages
            | Endpoint::CountTokens
            | Endpoint::Generate
            | Endpoint::Speech
            | Endpoint::Transcription
    )
}
