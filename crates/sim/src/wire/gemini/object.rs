//! Objects of Gemini's projects: reading, listing and deleting them.

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

/// Returns the objects of the project under this name, newest first.
pub(super) fn all(kind: Kind, name: &str, store: &Store) -> Reply {
    let data: Vec<&Value> = store.list(kind.prefix()).collect();
    Reply::json(StatusCode::OK, &json!({name: data}))
}

pub(super) fn delete(kind: Kind, input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    kind.remove(input, store)?;
    Ok(Reply::json(StatusCode::OK, &json!({})))
}
