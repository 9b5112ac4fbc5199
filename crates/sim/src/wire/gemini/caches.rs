//! Gemini's cached contents.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::reply::Reply;

/// Time until a cached content expires (1 h).
const EXPIRY: Duration = Duration::from_secs(3_600);

/// Keeps a cached content, and returns its object.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Reply {
    let body = &input.request.body;
    let now = input.rfc3339_after(Duration::ZERO);
    let object = json!({
        "name": input.id(Kind::Cache.prefix()), "model": body["model"], "displayName": body["displayName"],
        "createTime": now, "updateTime": now, "expireTime": input.rfc3339_after(EXPIRY),
        "usageMetadata": {"totalTokenCount": input.prompt_tokens()},
    });
    let reply = Reply::json(StatusCode::OK, &object);
    store.insert(Kind::Cache.prefix(), Stored::new(object));
    reply
}

/// Renews a cached content.
pub(super) fn update(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let object = &mut Kind::Cache.named(input, store)?.object;
    object["updateTime"] = input.rfc3339_after(Duration::ZERO).into();
    object["expireTime"] = input.rfc3339_after(EXPIRY).into();
    Ok(Reply::json(StatusCode::OK, object))
}
