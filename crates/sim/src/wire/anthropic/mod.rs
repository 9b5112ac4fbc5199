//! Anthropic's API, with its OpenAI-compatible endpoint.

pub(super) mod error;
mod headers;
pub(super) mod messages;

use super::input::ResponseInput;
use super::reply::Reply;
use super::route::Format;
use crate::script::Refusal;

pub(super) use self::headers::add_headers;

/// Returns an error as the response.
pub(super) fn refuse(input: &ResponseInput<'_>, refusal: &Refusal) -> Reply {
    let compatible = input.request.route.format == Format::AnthropicCompat;
    let (status, value) =
        if compatible { error::compatible_error(input, refusal) } else { error::error(input, refusal) };
    let mut reply = Reply::json(status, &value).with("request-id", input.id("req_"));
    match refusal {
        Refusal::RateLimited { retry_after, .. } => {
            reply = add_headers(reply, input).with("x-should-retry", true);
            headers::retry_headers(&mut reply.headers, *retry_after);
        }
        Refusal::Overloaded { retry_after } => {
            reply = reply.with("x-should-retry", true);
            headers::retry_headers(&mut reply.headers, *retry_after);
        }
        _ => reply = reply.with("x-should-retry", status.is_server_error()),
    }
    reply
}
