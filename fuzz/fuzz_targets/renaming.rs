//! A route changes only the model's name in a request body, whatever the body is.
#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::ProviderFallbackLayer;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::Route;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

/// Responds with the body that it got.
async fn echo(request: Request<ReplayBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let sent = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Response::new(Full::from(sent)))
}

async fn through_a_route(body: &[u8]) -> Option<Bytes> {
    let route = Route::to("https://h/v1").ok()?.model("a", "alpha").any_model("other");
    let chain = ProviderFallbackLayer::new("h").route(route).layer(service_fn(echo));
    let body: Full<Bytes> = Full::from(Bytes::copy_from_slice(body));
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    let response = chain.oneshot(request.body(body).ok()?).await.ok()?;
    Some(response.into_body().collect().await.ok()?.to_bytes())
}

fn without_model(body: &[u8]) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    value.as_object_mut()?.remove("model");
    Some(value)
}

fuzz_target!(|body: &[u8]| {
    let Some(sent) = RUNTIME.block_on(through_a_route(body)) else { return };
    if sent == body {
        return;
    }
    assert_eq!(without_model(body), without_model(&sent));
    if let Ok(value) = serde_json::from_slice::<Value>(&sent) {
        let model = value.get("model").and_then(Value::as_str);
        assert!(matches!(model, Some("alpha" | "other")), "{model:?}");
    }
});
