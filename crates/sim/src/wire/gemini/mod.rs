//! Gemini's API, with its OpenAI-compatible endpoints. Gemini states no limits in headers.

pub(super) mod content;
mod embeddings;
pub(super) mod error;
mod limit_error;

use serde_json::json;

use super::input::ResponseInput;
use super::reply::Reply;
use crate::script::Refusal;

/// Adds the headers that every response carries.
pub(super) fn add_headers(reply: Reply) -> Reply {
    reply.with("server", "scaffolding on HTTPServer2").with("server-timing", "gfet4t7; dur=799")
}

/// Returns an error as the response.
pub(super) fn refuse(input: &ResponseInput<'_>, refusal: &Refusal) -> Reply {
    if *refusal == Refusal::ContentFilter {
        return add_headers(content::filtered(input));
    }
    let (status, value) = error::error(input, refusal);
    let wrapped = input.request.route.wraps_errors();
    let value = if wrapped { json!([value]) } else { value };
    add_headers(Reply::indented_json(status, &value)).with("content-type", "application/json; charset=UTF-8")
}
