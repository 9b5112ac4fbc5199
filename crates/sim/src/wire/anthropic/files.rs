//! Anthropic's files.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;

/// Keeps the file of a form, and returns its object.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let Some(file) = &input.request.file else {
        return Err(Refusal::BadRequest("file: Field required".into()));
    };
    let object = json!({
        "id": input.id(Kind::AnthropicFile.prefix()), "type": "file", "filename": file.name,
        "mime_type": file.kind, "size_bytes": file.content.len(),
        "created_at": input.rfc3339_after(Duration::ZERO), "downloadable": false,
    });
    let stored = Stored { content: file.content.clone(), ..Stored::new(object.clone()) };
    store.insert(Kind::AnthropicFile.prefix(), stored);
    Ok(Reply::json(StatusCode::OK, &object))
}

/// Refuses the content of a file: only files that tools have made can be downloaded.
pub(super) fn content(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    Kind::AnthropicFile.named(input, store)?;
    Err(Refusal::BadRequest("File is not downloadable".into()))
}
