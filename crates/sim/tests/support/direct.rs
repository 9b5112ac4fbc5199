//! Calls of a simulator in process.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_key_rotation_sim::{Script, SimBody, SimError, SimKey, Simulator};

use super::{CHAT, MESSAGES};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const BODY: &str = r#"{"model":"m","messages":[]}"#;
pub(crate) const STREAM: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;

pub(crate) fn openai_with(script: Script) -> Simulator {
    Simulator::openai().key(SimKey::new("a", "sk-a").script(script)).key(("b", "sk-b")).build()
}

pub(crate) fn bearer(path: &str, secret: &str, body: &str) -> Request<Full<Bytes>> {
    native(path, "authorization", &format!("Bearer {secret}"), body)
}

pub(crate) fn native(path: &str, header: &str, secret: &str, body: &str) -> Request<Full<Bytes>> {
    let post = Request::post(path).header(header, secret).header("anthropic-version", "2023-06-01");
    post.body(body.to_owned().into()).unwrap()
}

pub(crate) async fn send(
    sim: &Simulator,
    request: Request<Full<Bytes>>,
) -> Result<Response<SimBody>, SimError> {
    sim.clone().oneshot(request).await
}

pub(crate) async fn openai(sim: &Simulator, secret: &str) -> Response<SimBody> {
    send(sim, bearer(CHAT, secret, BODY)).await.unwrap()
}

pub(crate) async fn anthropic(sim: &Simulator, secret: &str, body: &str) -> Response<SimBody> {
    send(sim, native(MESSAGES, "x-api-key", secret, body)).await.unwrap()
}

pub(crate) async fn gemini(sim: &Simulator, model: &str, method: &str) -> Response<SimBody> {
    let path = format!("/v1beta/models/{model}:{method}");
    send(sim, native(&path, "x-goog-api-key", "k", BODY)).await.unwrap()
}

pub(crate) async fn text(response: Response<SimBody>) -> Result<String, SimError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

pub(crate) async fn json(response: Response<SimBody>) -> Value {
    serde_json::from_str(&text(response).await.unwrap()).unwrap()
}

pub(crate) fn message(value: &Value) -> &str {
    value["error"]["message"].as_str().unwrap()
}

pub(crate) fn since(start: Instant) -> Duration {
    Instant::now().saturating_duration_since(start)
}
