//! Objects of OpenAI's accounts: reading, listing and deleting them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::script::Refusal;
use crate::store::Store;
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;

/// Returns the object that the path names as the response.
pub(super) fn show(kind: Kind, input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    Ok(Reply::json(StatusCode::OK, &kind.named(input, store)?.object))
}

/// Returns the objects of the account, newest first.
pub(super) fn all(kind: Kind, store: &Store) -> Reply {
    list(&store.list(kind.prefix()).cloned().collect::<Vec<_>>())
}

pub(super) fn delete(kind: Kind, input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let id = kind.remove(input, store)?;
    let object = match kind {
        Kind::File => "file",
        Kind::Response => "response",
        _ => "conversation.deleted",
    };
    Ok(Reply::json(StatusCode::OK, &json!({"id": id, "object": object, "deleted": true})))
}

/// Returns a list as the response.
pub(super) fn list(data: &[Value]) -> Reply {
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let value = json!({
        "object": "list", "data": data, "has_more": false,
        "first_id": id(data.first()), "last_id": id(data.last()),
    });
    Reply::json(StatusCode::OK, &value)
}
