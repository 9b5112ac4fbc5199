//! Gemini's embeddings.

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::embedding::{numbers, vector};
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;

/// Returns the vector of the content, or one for each of the requests of a batch.
pub(in crate::wire) fn respond(input: &ResponseInput<'_>) -> Reply {
    let body = &input.request.body;
    let value = match body["requests"].as_array() {
        Some(requests) => {
            let all: Vec<Value> = requests.iter().map(|request| embedding(input, request)).collect();
            json!({"embeddings": all})
        }
        None => json!({"embedding": embedding(input, body)}),
    };
    Reply::json(StatusCode::OK, &value)
}

fn embedding(input: &ResponseInput<'_>, request: &Value) -> Value {
    let named = ["outputDimensionality", "output_dimensionality"].map(|name| &request[name]);
    let dimensions = named.into_iter().find(|it| !it.is_null()).unwrap_or(&Value::Null);
    json!({"values": numbers(&vector(input.model(), &request["content"]["parts"], dimensions))})
}
