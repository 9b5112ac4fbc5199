//! Objects of Anthropic's accounts: reading, listing and deleting them.

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
    let data: Vec<&Value> = store.list(kind.prefix()).collect();
    let id = |item: Option<&&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    Reply::json(StatusCode::OK, &json!({"data": data, "has_more": false, "first_id": first, "last_id": last}))
}

pub(super) fn delete(kind: Kind, input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let id = kind.remove(input, store)?;
    let deleted = if matches!(kind, Kind::MessageBatch) { "message_batch_deleted" } else { "file_deleted" };
    Ok(Reply::json(StatusCode::OK, &json!({"id": id, "type": deleted})))
}
