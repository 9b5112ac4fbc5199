//! The events of each API over a WebSocket.

use serde_json::{Value, json};

use super::input::ResponseInput;
use super::reply::Reply;
use super::route::Endpoint;
use crate::script::Refusal;

/// The state of one WebSocket: it sends back each message.
#[derive(Clone, Debug)]
pub(crate) struct SocketSession {
    endpoint: Endpoint,
    model: String,
    id: String,
    /// The latest text that the client sent.
    text: String,
    serial: u64,
}

/// Returns the response to a handshake. A plain GET at the path of a WebSocket is not found.
pub(super) fn respond(input: &ResponseInput<'_>) -> Result<Reply, Refusal> {
    Ok(input.request.handshake.as_ref().ok_or(Refusal::NotFound)?.reply())
}

// === impl SocketSession ===

impl SocketSession {
    pub(crate) fn of(input: &ResponseInput<'_>) -> Self {
        Self {
            endpoint: input.request.route.endpoint,
            model: input.model().to_owned(),
            id: input.id("sess_"),
            text: input.text(),
            serial: 0,
        }
    }

    /// Returns the events with which the provider begins.
    pub(crate) fn begin(&mut self) -> Vec<Value> {
        match self.endpoint {
            Endpoint::Realtime => vec![self.event("session.created", json!({"session": self.session()}))],
            _ => Vec::new(),
        }
    }

    /// Returns the events that follow a message of the client. `None` if it is not an event of the API: it is then sent
    /// back as it is.
    pub(crate) fn answer(&mut self, message: &str) -> Option<Vec<Value>> {
        let event: Value = serde_json::from_str(message).ok()?;
        if let Some(text) = last_text(&event) {
            self.text = text.to_owned();
        }
        match self.endpoint {
            Endpoint::Realtime => self.realtime(&event),
            Endpoint::ResponsesSocket => self.responses(&event),
            _ => self.live(&event),
        }
    }

    fn realtime(&mut self, event: &Value) -> Option<Vec<Value>> {
        Some(match event["type"].as_str()? {
            "session.update" => vec![self.event("session.updated", json!({"session": self.session()}))],
            "conversation.item.create" => {
                let item = json!({"item": event["item"]});
                vec![
                    self.event("conversation.item.added", item.clone()),
                    self.event("conversation.item.done", item),
                ]
            }
            "response.create" => self.response("realtime.response", "response.done"),
            _ => return None,
        })
    }

    fn responses(&mut self, event: &Value) -> Option<Vec<Value>> {
        if event["type"] != "response.create" {
            return None;
        }
        // The input may be a text, and the model stands in the event.
        if let Some(text) = event["input"].as_str() {
            self.text = text.to_owned();
        }
        if let Some(model) = event["model"].as_str() {
            self.model = model.to_owned();
        }
        Some(self.response("response", "response.completed"))
    }

    fn response(&mut self, object: &str, end: &str) -> Vec<Value> {
        let id = format!("resp_{:024x}", self.serial);
        let part = json!({"type": "output_text", "text": self.text});
        let output = json!([{"type": "message", "role": "assistant", "content": [part]}]);
        let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
        let state = |status: &str| json!({"id": id, "object": object, "status": status, "model": self.model});
        let mut whole = state("completed");
        (whole["output"], whole["usage"]) = (output, usage);
        let (begun, text) = (state("in_progress"), self.text.clone());
        vec![
            self.event("response.created", json!({"response": begun})),
            self.event("response.output_text.delta", json!({"response_id": id, "delta": text})),
            self.event("response.output_text.done", json!({"response_id": id, "text": text})),
            self.event(end, json!({"response": whole})),
        ]
    }

    fn live(&self, event: &Value) -> Option<Vec<Value>> {
        if event.get("setup").is_some() {
            return Some(vec![json!({"setupComplete": {}})]);
        }
        // JSON for protocol buffers has two forms of each name, and clients send either.
        let either = |one: &str, other: &str| event.get(one).or_else(|| event.get(other));
        let input = || either("realtimeInput", "realtime_input").and_then(|input| input.get("text"));
        either("clientContent", "client_content").or_else(input)?;
        let usage = json!({"promptTokenCount": 1, "responseTokenCount": 1, "totalTokenCount": 2});
        let turn = json!({"role": "model", "parts": [{"text": self.text}]});
        Some(vec![
            json!({"serverContent": {"modelTurn": turn}}),
            json!({"serverContent": {"generationComplete": true}}),
            json!({"serverContent": {"turnComplete": true}, "usageMetadata": usage}),
        ])
    }

    fn event(&mut self, kind: &str, mut members: Value) -> Value {
        self.serial += 1;
        members["type"] = kind.into();
        members["event_id"] = format!("event_{:020}", self.serial).into();
        members
    }

    fn session(&self) -> Value {
        json!({"id": self.id, "object": "realtime.session", "type": "realtime", "model": self.model})
    }
}

/// Returns the last text in a message, at any depth.
fn last_text(value: &Value) -> Option<&str> {
    match value {
        Value::Array(items) => items.iter().rev().find_map(last_text),
        Value::Object(members) => {
            members.get("text").and_then(Value::as_str).or_else(|| members.values().rev().find_map(last_text))
        }
        _ => None,
    }
}
