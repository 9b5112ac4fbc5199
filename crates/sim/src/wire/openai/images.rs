//! OpenAI's images.

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;

/// A PNG of 8 × 8 orange pixels, in base64.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mN4VqGBFTEMLQkASIJhgZlubGUAAAAASUVORK5CYII=";

/// Maximum number of images of one call.
const MOST: u64 = 10;

pub(super) fn respond(input: &ResponseInput<'_>) -> Reply {
    let body = &input.request.body;
    // Forms have text only.
    let wanted = body["n"].as_u64().or_else(|| body["n"].as_str()?.parse().ok()).unwrap_or(1);
    let image = match body["response_format"].as_str() {
        Some("url") => json!({"url": format!("data:image/png;base64,{PNG}")}),
        _ => json!({"b64_json": PNG}),
    };
    let data: Vec<Value> = (0..wanted.clamp(1, MOST)).map(|_| image.clone()).collect();
    let usage = json!({
        "total_tokens": input.total_tokens(), "input_tokens": input.prompt_tokens(),
        "output_tokens": input.completion_tokens(),
        "input_tokens_details": {"text_tokens": input.prompt_tokens(), "image_tokens": 0},
    });
    Reply::json(StatusCode::OK, &json!({"created": input.created(), "data": data, "usage": usage}))
}
