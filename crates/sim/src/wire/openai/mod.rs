//! OpenAI's API. Other providers serve compatible endpoints in its [chat] format.

pub(super) mod chat;
pub(super) mod error;
mod headers;
pub(super) mod responses;

use super::input::ResponseInput;
use super::reply::Reply;
use crate::script::Refusal;

pub(super) use self::headers::add_headers;

/// Returns an error as the response.
pub(super) fn refuse(input: &ResponseInput<'_>, refusal: &Refusal) -> Reply {
    let (status, value) = error::error(input, refusal);
    let mut reply = Reply::indented_json(status, &value).with("x-request-id", input.id("req_"));
    match refusal {
        Refusal::RateLimited { retry_after, .. } => {
            reply = add_headers(reply, input);
            headers::retry_headers(&mut reply.headers, *retry_after);
        }
        Refusal::Overloaded { retry_after } => headers::retry_headers(&mut reply.headers, *retry_after),
        Refusal::InvalidKey | Refusal::MissingKey | Refusal::Deactivated | Refusal::OutOfCredit => {}
        _ => reply = headers::identify(reply, input),
    }
    reply
}
