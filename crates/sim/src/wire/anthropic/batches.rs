//! Anthropic's batches of messages. A batch has ended when it is looked at for the first time.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{messages, object};
use crate::dialect::Dialect;
use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::{Content, Reply};
use crate::wire::request::ReceivedRequest;

/// Time until the results of a batch expire (24 h).
const EXPIRY: Duration = Duration::from_secs(86_400);

/// Starts a batch, and returns it as being processed.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let requests = input.request.body["requests"].as_array().filter(|requests| !requests.is_empty());
    let requests = requests.ok_or_else(|| Refusal::BadRequest("requests: Field required".into()))?;
    let now = input.rfc3339_after(Duration::ZERO);
    let mut batch = json!({
        "id": input.id(Kind::MessageBatch.prefix()), "type": "message_batch",
        "processing_status": "in_progress", "request_counts": counts(requests.len(), 0),
        "ended_at": null, "created_at": now, "expires_at": input.rfc3339_after(EXPIRY),
        "archived_at": null, "cancel_initiated_at": null, "results_url": null,
    });
    let reply = Reply::json(StatusCode::OK, &batch);
    let results: String = requests.iter().enumerate().map(|(at, request)| run(input, at, request)).collect();
    batch["processing_status"] = "ended".into();
    batch["ended_at"] = now.into();
    batch["request_counts"] = counts(0, requests.len());
    let stored = Stored { content: Bytes::from(results), ..Stored::new(batch) };
    store.insert(Kind::MessageBatch.prefix(), stored);
    Ok(reply)
}

/// Returns a batch. The URL of its results is at the host that the caller names.
pub(super) fn show(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let batch = &mut Kind::MessageBatch.named(input, store)?.object;
    let id = batch["id"].as_str().unwrap_or("");
    batch["results_url"] = format!("{}/v1/messages/batches/{id}/results", input.request.origin).into();
    object::show(Kind::MessageBatch, input, store)
}

/// Returns the results of a batch, one in each line.
pub(super) fn results(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let content = Kind::MessageBatch.named(input, store)?.content.clone();
    Ok(Reply::binary("application/x-jsonl", content))
}

/// Cancels a batch, which comes too late for all but the time.
pub(super) fn cancel(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let batch = &mut Kind::MessageBatch.named(input, store)?.object;
    batch["cancel_initiated_at"] = input.rfc3339_after(Duration::ZERO).into();
    Ok(Reply::json(StatusCode::OK, batch))
}

fn counts(processing: usize, succeeded: usize) -> Value {
    json!({"processing": processing, "succeeded": succeeded, "errored": 0, "canceled": 0, "expired": 0})
}

/// Returns the result of one request, as a line.
fn run(input: &ResponseInput<'_>, at: usize, request: &Value) -> String {
    let inner = ReceivedRequest::of_batch(Dialect::Anthropic, "/v1/messages", &request["params"]);
    let message = match messages::respond(&input.within(&inner, at)).content {
        Content::Whole(message) => serde_json::from_slice(&message).unwrap_or_default(),
        Content::Stream(_) => Value::Null,
    };
    let result = json!({"type": "succeeded", "message": message});
    format!("{}\n", json!({"custom_id": request["custom_id"], "result": result}))
}
