//! OpenAI's embeddings.

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::embedding::{base64, inputs, numbers, vector};
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;

pub(in crate::wire) fn respond(input: &ResponseInput<'_>) -> Reply {
    let body = &input.request.body;
    let write = if body["encoding_format"] == "base64" { base64 } else { numbers };
    let item = |(index, text): (usize, &Value)| {
        let embedding = write(&vector(input.model(), text, &body["dimensions"]));
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = inputs(&body["input"]).into_iter().enumerate().map(item).collect();
    let tokens = input.prompt_tokens();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    let value = json!({"object": "list", "data": data, "model": input.model(), "usage": usage});
    Reply::json(StatusCode::OK, &value)
}
