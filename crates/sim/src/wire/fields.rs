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
    /// Name of the first tool, if the response is to call it.
    pub(crate) tool: Option<String>,
    /// Number of texts to embed.
    pub(crate) inputs: usize,
    /// Message of the error in the body, if there is one.
    pub(crate) error: Option<&'static str>,
}

// === impl BodyFields ===

impl BodyFields {
    /// Reads a body. Endpoints without a body have only the model of their path.
    pub(crate) fn read(route: &Route, body: &[u8]) -> Self {
        if matches!(route.endpoint, Endpoint::Models | Endpoint::Unknown) {
            return Self { model: route.model.clone(), ..Self::default() };
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) if value.is_object() => Self::of(route, &value),
            _ => Self {
                model: route.model.clone(),
                error: Some("We could not parse the JSON body of your request."),
                ..Self::default()
            },
        }
    }

    fn of(route: &Route, value: &Value) -> Self {
        let model = route.model.clone().or_else(|| value["model"].as_str().map(str::to_owned));
        let streamed = match route.endpoint {
            Endpoint::Chat | Endpoint::Responses | Endpoint::Messages => value["stream"] == true,
            _ => route.framing != Framing::Whole,
        };
        Self {
            error: if model.is_none() { Some("you must provide a model parameter") } else { None },
            model,
            streamed,
            include_usage: value["stream_options"]["include_usage"] == true,
            tool: callable_tool(value).filter(|_| !ends_with_tool_result(value)),
            inputs: value["input"].as_array().map_or(1, Vec::len),
        }
    }
}

/// Returns the name of the first tool, unless the request forbids tool calls.
fn callable_tool(value: &Value) -> Option<String> {
    let tool = &value["tools"][0];
    let named = [&tool["function"]["name"], &tool["name"], &tool["functionDeclarations"][0]["name"]];
    if value["tool_choice"] == "none" {
        return None;
    }
    named.iter().find_map(|name| name.as_str()).map(str::to_owned)
}

/// Returns whether the conversation ends with the result of a tool. The response to it is text: another tool
/// call would keep a caller that runs tools in a loop busy forever.
fn ends_with_tool_result(value: &Value) -> bool {
    let last = |list: &Value| list.as_array().and_then(|list| list.last()).cloned().unwrap_or_default();
    let message = last(&value["messages"]);
    let content = last(&value["contents"]);
    message["role"] == "tool"
        || last(&message["content"])["type"] == "tool_result"
        || last(&value["input"])["type"] == "function_call_output"
        || !last(&content["parts"])["functionResponse"].is_null()
}
