//! OpenAI's batches. A batch is complete when it is looked at for the first time.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{files, stateless};
use crate::dialect::Dialect;
use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::{Content, Reply};
use crate::wire::request::ReceivedRequest;

/// Starts a batch, and returns it as being validated.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let body = &input.request.body;
    let id = body["input_file_id"].as_str().unwrap_or("");
    let lines = Kind::File.get(id, store)?.content.clone();
    let mut batch = json!({
        "id": input.id("batch_"), "object": "batch", "endpoint": body["endpoint"], "errors": null,
        "input_file_id": id, "completion_window": body["completion_window"], "status": "validating",
        "output_file_id": null, "error_file_id": null, "created_at": input.created(),
        "in_progress_at": null, "expires_at": input.created() + 86_400, "finalizing_at": null,
        "completed_at": null, "failed_at": null, "expired_at": null, "cancelling_at": null,
        "cancelled_at": null, "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body["metadata"],
    });
    let reply = Reply::json(StatusCode::OK, &batch);
    finish(input, store, &lines, &mut batch);
    store.insert(Kind::Batch.prefix(), Stored::new(batch));
    Ok(reply)
}

/// Cancels a batch, which comes too late for all but the status.
pub(super) fn cancel(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let batch = &mut Kind::Batch.named(input, store)?.object;
    batch["status"] = "cancelled".into();
    batch["cancelled_at"] = input.created().into();
    Ok(Reply::json(StatusCode::OK, batch))
}

/// Runs the requests of a batch, and keeps the file with their responses.
fn finish(input: &ResponseInput<'_>, store: &mut Store, lines: &Bytes, batch: &mut Value) {
    let lines = String::from_utf8_lossy(lines);
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    let results: Vec<_> = lines.enumerate().map(|(at, line)| run(input, at, line)).collect();
    let total = results.len();
    let wrong = results.iter().position(Option::is_none);
    if let Some(at) = wrong.or_else(|| (total == 0).then_some(0)) {
        batch["status"] = "failed".into();
        batch["failed_at"] = input.created().into();
        let message = "This line is not parseable as valid JSON.";
        let error = json!({"code": "invalid_json_line", "line": at + 1, "message": message, "param": null});
        batch["errors"] = json!({"object": "list", "data": [error]});
        return;
    }
    let output: String = results.into_iter().flatten().map(|line| format!("{line}\n")).collect();
    let name = format!("{}_output.jsonl", input.id("batch_"));
    batch["output_file_id"] = files::keep(input, store, &name, "batch_output", output.into())["id"].clone();
    batch["status"] = "completed".into();
    for at in ["in_progress_at", "finalizing_at", "completed_at"] {
        batch[at] = input.created().into();
    }
    batch["request_counts"] = json!({"total": total, "completed": total, "failed": 0});
}

/// Returns the result of one line. `None` if the line is no request.
fn run(input: &ResponseInput<'_>, at: usize, line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    let (custom_id, url) = (line["custom_id"].as_str()?, line["url"].as_str()?);
    let request = ReceivedRequest::of_batch(Dialect::OpenAi, url, &line["body"]);
    let inner = input.within(&request, at);
    let reply = stateless::respond(&inner);
    let (status, body) = match reply.as_ref().map(|reply| &reply.content) {
        Some(Content::Whole(body)) => (200, serde_json::from_slice(body).unwrap_or_default()),
        _ => (404, json!({"error": {"message": format!("Invalid URL (POST {url})")}})),
    };
    let response = json!({"status_code": status, "request_id": inner.id("req_"), "body": body});
    Some(json!({
        "id": inner.id("batch_req_"), "custom_id": custom_id, "response": response, "error": null,
    }))
}
