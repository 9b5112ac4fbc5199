//! Gemini's batches, which are operations. A batch is done when it is looked at for the first time.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::content;
use crate::dialect::Dialect;
use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::named::either;
use crate::wire::object::Kind;
use crate::wire::reply::{Content, Reply};
use crate::wire::request::ReceivedRequest;

/// Starts a batch of requests that are in the call itself, and returns it as pending.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let batch = &input.request.body["batch"];
    let config = either(batch, "inputConfig", "input_config");
    let requests = config["requests"]["requests"].as_array();
    let requests =
        requests.ok_or_else(|| Refusal::BadRequest("batch.input_config.requests is missing".into()))?;
    let mut operation = operation(input, batch, requests.len());
    let reply = Reply::json(StatusCode::OK, &operation);
    let results: Vec<Value> =
        requests.iter().enumerate().map(|(at, request)| run(input, at, request)).collect();
    operation["metadata"]["state"] = "BATCH_STATE_SUCCEEDED".into();
    operation["metadata"]["endTime"] = operation["metadata"]["createTime"].clone();
    operation["done"] = true.into();
    operation["response"] = json!({
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatchOutput",
        "inlinedResponses": {"inlinedResponses": results},
    });
    operation["metadata"]["output"] = operation["response"].clone();
    store.insert(Kind::GeminiBatch.prefix(), Stored::new(operation));
    Ok(reply)
}

/// Cancels a batch, which comes too late for all but the state.
pub(super) fn cancel(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    Kind::GeminiBatch.named(input, store)?.object["metadata"]["state"] = "BATCH_STATE_CANCELLED".into();
    Ok(Reply::json(StatusCode::OK, &json!({})))
}

fn operation(input: &ResponseInput<'_>, batch: &Value, requests: usize) -> Value {
    let name = input.id(Kind::GeminiBatch.prefix());
    let now = input.rfc3339_after(Duration::ZERO);
    let count = requests.to_string();
    json!({
        "name": name,
        "metadata": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "name": name, "model": format!("models/{}", input.model()), "createTime": now,
            "updateTime": now, "state": "BATCH_STATE_PENDING",
            "displayName": either(batch, "displayName", "display_name"),
            "batchStats": {"requestCount": count, "pendingRequestCount": count},
        },
    })
}

/// Returns the result of one request.
fn run(input: &ResponseInput<'_>, at: usize, request: &Value) -> Value {
    let url = format!("/v1beta/models/{}:generateContent", input.model());
    let inner = ReceivedRequest::of_batch(Dialect::Gemini, &url, &request["request"]);
    let response = match content::respond(&input.within(&inner, at)).content {
        Content::Whole(response) => serde_json::from_slice(&response).unwrap_or_default(),
        Content::Stream(_) => Value::Null,
    };
    json!({"response": response, "metadata": request["metadata"]})
}
