//! The endpoints of OpenAI's API, those with objects of the account included.

use super::{batches, conversations, files, object, responses, stateless};
use crate::script::Refusal;
use crate::store::Store;
use crate::wire::input::ResponseInput;
use crate::wire::named::texts;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;
use crate::wire::route::Endpoint;

/// Returns the response to a call that passed all checks. `store` has the objects of its account.
pub(in crate::wire) fn respond(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let is_file = |id: &&str| id.starts_with(Kind::File.prefix());
    for id in texts(&input.request.body, &["file_id"]).into_iter().filter(is_file) {
        Kind::File.get(id, store)?;
    }
    match input.request.route.endpoint {
        Endpoint::Responses => responses::create(input, store),
        Endpoint::Response => object::show(Kind::Response, input, store),
        Endpoint::DeleteResponse => object::delete(Kind::Response, input, store),
        Endpoint::ResponseInput => responses::input_items(input, store),
        Endpoint::CreateConversation => Ok(conversations::create(input, store)),
        Endpoint::Conversation => object::show(Kind::Conversation, input, store),
        Endpoint::DeleteConversation => object::delete(Kind::Conversation, input, store),
        Endpoint::CreateFile => files::create(input, store),
        Endpoint::Files => Ok(object::all(Kind::File, store)),
        Endpoint::File => object::show(Kind::File, input, store),
        Endpoint::FileContent => files::content(input, store),
        Endpoint::DeleteFile => object::delete(Kind::File, input, store),
        Endpoint::CreateBatch => batches::create(input, store),
        Endpoint::Batches => Ok(object::all(Kind::Batch, store)),
        Endpoint::Batch => object::show(Kind::Batch, input, store),
        Endpoint::CancelBatch => batches::cancel(input, store),
        _ => stateless::respond(input).ok_or(Refusal::NotFound),
    }
}
