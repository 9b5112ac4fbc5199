//! Anthropic's API, with its OpenAI-compatible endpoint.

mod batches;
pub(super) mod error;
mod files;
mod headers;
mod messages;
mod object;

use super::input::ResponseInput;
use super::named::texts;
use super::object::Kind;
use super::reply::Reply;
use super::route::{Endpoint, Format};
use crate::script::Refusal;
use crate::store::Store;

pub(super) use self::headers::add_headers;

/// Returns the response to a call that passed all checks. `store` has the objects of its account.
pub(super) fn respond(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let is_file = |id: &&str| id.starts_with(Kind::AnthropicFile.prefix());
    for id in texts(&input.request.body, &["file_id"]).into_iter().filter(is_file) {
        Kind::AnthropicFile.get(id, store)?;
    }
    match input.request.route.endpoint {
        Endpoint::CreateFile => files::create(input, store),
        Endpoint::Files => Ok(object::all(Kind::AnthropicFile, store)),
        Endpoint::File => object::show(Kind::AnthropicFile, input, store),
        Endpoint::FileContent => files::content(input, store),
        Endpoint::DeleteFile => object::delete(Kind::AnthropicFile, input, store),
        Endpoint::CreateBatch => batches::create(input, store),
        Endpoint::Batches => Ok(object::all(Kind::MessageBatch, store)),
        Endpoint::Batch => batches::show(input, store),
        Endpoint::BatchResults => batches::results(input, store),
        Endpoint::CancelBatch => batches::cancel(input, store),
        Endpoint::DeleteBatch => object::delete(Kind::MessageBatch, input, store),
        _ => Ok(messages::respond(input)),
    }
}

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
