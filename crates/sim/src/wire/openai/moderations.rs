//! OpenAI's moderations. No input is flagged.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::wire::embedding::inputs;
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn respond(input: &ResponseInput<'_>) -> Reply {
    let all = |value: Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|name| ((*name).to_owned(), value.clone())).collect()
    };
    let result = json!({
        "flagged": false, "categories": all(false.into()), "category_scores": all(0.0001.into()),
        "category_applied_input_types": all(json!(["text"])),
    });
    let results = vec![result; inputs(&input.request.body["input"]).len()];
    let model = if input.model().is_empty() { "omni-moderation-latest" } else { input.model() };
    let value = json!({"id": input.id("modr-"), "model": model, "results": results});
    Reply::json(StatusCode::OK, &value)
}
