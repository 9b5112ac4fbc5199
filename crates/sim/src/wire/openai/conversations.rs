//! OpenAI's conversations: only their ids, without their items.

use http::StatusCode;
use serde_json::json;

use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;

pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Reply {
    let object = json!({
        "id": input.id("conv_"), "object": "conversation", "created_at": input.created(),
        "metadata": input.request.body["metadata"],
    });
    let reply = Reply::json(StatusCode::OK, &object);
    store.insert(Kind::Conversation.prefix(), Stored::new(object));
    reply
}
