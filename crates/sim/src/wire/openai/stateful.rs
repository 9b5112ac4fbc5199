//! The endpoints of OpenAI's API, those with objects of the account included.

use super::object::Kind;
use super::{batches, conversations, files, responses, stateless};
use crate::script::Refusal;
use crate::store::Store;
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;
use crate::wire::route::Endpoint;

/// Returns the response to a call that passed all checks. `store` has the objects of its account.
pub(in crate::wire) fn respond(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    match input.request.route.endpoint {
        Endpoint::Responses => responses::create(input, store),
        Endpoint::Response => Kind::Response.show(input, store),
        Endpoint::DeleteResponse => Kind::Response.delete(input, store),
        Endpoint::ResponseInput => responses::input_items(input, store),
        Endpoint::CreateConversation => Ok(conversations::create(input, store)),
        Endpoint::Conversation => Kind::Conversation.show(input, store),
        Endpoint::DeleteConversation => Kind::Conversation.delete(input, store),
        Endpoint::CreateFile => files::create(input, store),
        Endpoint::Files => Ok(Kind::File.list(store)),
        Endpoint::File => Kind::File.show(input, store),
        Endpoint::FileContent => files::content(input, store),
        Endpoint::DeleteFile => Kind::File.delete(input, store),
        Endpoint::CreateBatch => batches::create(input, store),
        Endpoint::Batches => Ok(Kind::Batch.list(store)),
        Endpoint::Batch => Kind::Batch.show(input, store),
        Endpoint::CancelBatch => batches::cancel(input, store),
        _ => stateless::respond(input).ok_or(Refusal::NotFound),
    }
}
