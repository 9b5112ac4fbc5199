//! The parts of a request body that the simulator reads.

use serde_json::Value;

use super::route::{Endpoint, Framing, Route};

#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    pub(super) model: Option<String>,
    pub(super) streamed: bool,
    pub(super) include_usage: bool,
    /// Name of the first tool, if the response is to call it.
    pub(super) tool: Option<String>,
    /// Number of texts to embed.
    pub(super) inputs: usize,
    pub(super) problem: Option<&'static str>,
}

// === impl Form ===

impl Form {
    pub(super) fn read(route: &Route, body: &[u8]) -> Self {
        if matches!(route.endpoint, Endpoint::Models | Endpoint::Unknown) {
            return Self { model: route.model.clone(), ..Self::default() };
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) if value.is_object() => Self::of(route, &value),
            _ => Self {
                model: route.model.clone(),
                problem: Some("We could not parse the JSON body of your request."),
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
            problem: if model.is_none() { Some("you must provide a model parameter") } else { None },
            model,
            streamed,
            include_usage: value["stream_options"]["include_usage"] == true,
            tool: first_tool(value).filter(|_| !answers_a_tool(value)),
            inputs: value["input"].as_array().map_or(1, Vec::len),
        }
    }
}

fn first_tool(value: &Value) -> Option<String> {
    let tool = &value["tools"][0];
    let named = [&tool["function"]["name"], &tool["name"], &tool["functionDeclarations"][0]["name"]];
    if value["tool_choice"] == "none" {
        return None;
    }
    named.iter().find_map(|name| name.as_str()).map(str::to_owned)
}

/// Returns whether the conversation ends with the result of a tool. The response to it is text: another tool
/// call would keep a caller that runs tools in a loop busy forever.
fn answers_a_tool(value: &Value) -> bool {
    let last = |list: &Value| list.as_array().and_then(|list| list.last()).cloned().unwrap_or_default();
    let message = last(&value["messages"]);
    let content = last(&value["contents"]);
    message["role"] == "tool"
        || last(&message["content"])["type"] == "tool_result"
        || last(&value["input"])["type"] == "function_call_output"
        || !last(&content["parts"])["functionResponse"].is_null()
}
