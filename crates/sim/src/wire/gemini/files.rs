//! Gemini's files, which arrive in the steps of a resumable upload.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;

/// Time until a file expires (48 h).
const EXPIRY: Duration = Duration::from_secs(2 * 86_400);

/// How the ids of uploads begin.
const UPLOAD: &str = "upload-";

/// Takes a step of an upload: its start with a description of the file, then the content in one or more parts.
pub(super) fn upload(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let step = &input.request.upload;
    if step.has("start") {
        return Ok(start(input, store));
    }
    let id = step.id.as_deref().unwrap_or("");
    let missing = || Refusal::BadRequest("The upload does not exist.".into());
    let upload = store.get(UPLOAD, id).ok_or_else(missing)?;
    if step.has("upload") {
        let part = input.request.file.as_ref().map(|file| file.content.clone()).unwrap_or_default();
        upload.content = [&*upload.content, &*part].concat().into();
    }
    if !step.has("finalize") {
        return Ok(Reply::json(StatusCode::OK, &json!({})).with("x-goog-upload-status", "active"));
    }
    let upload = store.remove(UPLOAD, id).ok_or_else(missing)?;
    let object = file(input, &upload);
    let reply = Reply::json(StatusCode::OK, &json!({"file": object}));
    let stored = Stored { content: upload.content, ..Stored::new(object) };
    store.insert(Kind::GeminiFile.prefix(), stored);
    Ok(reply.with("x-goog-upload-status", "final"))
}

fn start(input: &ResponseInput<'_>, store: &mut Store) -> Reply {
    let id = input.id(UPLOAD);
    let url =
        format!("{}{}?upload_id={id}&upload_protocol=resumable", input.request.origin, input.request.path);
    let upload = json!({
        "id": id, "kind": input.request.upload.kind, "file": input.request.body["file"],
    });
    store.insert(UPLOAD, Stored::new(upload));
    let reply = Reply::json(StatusCode::OK, &json!({}));
    reply.with("x-goog-upload-status", "active").with("x-goog-upload-url", url)
}

/// Returns the object of a file whose upload is complete.
fn file(input: &ResponseInput<'_>, upload: &Stored) -> Value {
    let name = input.id(Kind::GeminiFile.prefix());
    let now = input.rfc3339_after(Duration::ZERO);
    let Stored { object, content, .. } = upload;
    json!({
        "name": name, "displayName": object["file"]["displayName"], "mimeType": object["kind"],
        "sizeBytes": content.len().to_string(), "createTime": now, "updateTime": now,
        "expirationTime": input.rfc3339_after(EXPIRY), "state": "ACTIVE", "source": "UPLOADED",
        "uri": format!("{}/v1beta/{name}", input.request.origin),
    })
}
