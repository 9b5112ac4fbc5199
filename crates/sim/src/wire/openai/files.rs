//! OpenAI's files.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;

/// Keeps the file of a form, and returns its object.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let Some(file) = &input.request.file else {
        return Err(Refusal::BadRequest("'file' is a required property".into()));
    };
    let Some(purpose) = input.request.body["purpose"].as_str() else {
        return Err(Refusal::BadRequest("'purpose' is a required property".into()));
    };
    let object = keep(input, store, &file.name, purpose, file.content.clone());
    Ok(Reply::json(StatusCode::OK, &object))
}

/// Returns the content of a file.
pub(super) fn content(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let content = Kind::File.named(input, store)?.content.clone();
    Ok(Reply::binary("application/octet-stream", content))
}

/// Keeps a file, and returns its object.
pub(super) fn keep(
    input: &ResponseInput<'_>,
    store: &mut Store,
    name: &str,
    purpose: &str,
    content: Bytes,
) -> Value {
    let object = json!({
        "id": input.id("file-"), "object": "file", "bytes": content.len(), "created_at": input.created(),
        "expires_at": null, "filename": name, "purpose": purpose, "status": "processed",
        "status_details": null,
    });
    store.insert(Kind::File.prefix(), Stored { content, ..Stored::new(object.clone()) });
    object
}
