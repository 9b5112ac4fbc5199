//! OpenAI's API. Other providers serve compatible endpoints in its [chat] format.

mod audio;
mod batches;
pub(super) mod chat;
mod completions;
mod conversations;
mod embeddings;
pub(super) mod error;
mod files;
mod headers;
mod images;
mod moderations;
mod object;
mod reasoning;
pub(super) mod responses;
mod stateful;
mod stateless;

use super::input::ResponseInput;
use super::reply::Reply;
use crate::script::Refusal;

pub(super) use self::headers::add_headers;
pub(super) use self::stateful::respond;

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
