//! Paths as people type them, and links that lead back through the gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use support::stub::{Stub, reply};
use support::{Gateway, header, post, text};
use tower::ServiceExt;
use tower_key_rotation_gateway::{Options, router};

const ALL: [(&str, &[&str]); 3] = [("openai", &["a-1"]), ("anthropic", &["b-1"]), ("gemini", &["c-1"])];

async fn gateway(stub: &Stub) -> Gateway {
    Gateway::at(&stub.providers(&ALL)).await
}

#[tokio::test]
async fn a_native_path_finds_its_provider() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub).await;
    for (path, key, sent) in [
        ("/v1/messages", "b-1", "/v1/messages"),
        ("/v1/messages?beta=true", "b-1", "/v1/messages?beta=true"),
        ("/v1/messages/count_tokens", "b-1", "/v1/messages/count_tokens"),
        ("//v1//messages", "b-1", "/v1/messages"),
        ("/anthropic/messages", "b-1", "/v1/messages"),
        ("/anthropic//v1/messages", "b-1", "/v1/messages"),
        ("/v1beta/models/m:generateContent", "c-1", "/v1beta/models/m:generateContent"),
        ("/v1/models/m:generateContent", "c-1", "/v1/models/m:generateContent"),
        (
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            "c-1",
            "/v1beta/models/m:streamGenerateContent?alt=sse",
        ),
        ("/models/m:generateContent", "c-1", "/v1beta/models/m:generateContent"),
        ("/gemini/models/m:generateContent", "c-1", "/v1beta/models/m:generateContent"),
        ("/gemini/upload/v1beta/files", "c-1", "/upload/v1beta/files"),
        ("/upload/v1beta/files", "c-1", "/upload/v1beta/files"),
        ("/gemini/chat/completions", "c-1", "/v1beta/openai/chat/completions"),
        ("/gemini/v1beta/openai/chat/completions", "c-1", "/v1beta/openai/chat/completions"),
        ("/v1beta/openai/chat/completions", "c-1", "/v1beta/openai/chat/completions"),
        ("//v1/chat/completions", "a-1", "/v1/chat/completions"),
        ("/v1/chat/completions", "a-1", "/v1/chat/completions"),
    ] {
        let response = gateway.send(post(path, Body::from("{}"))).await;
        assert_eq!(response.status(), 200, "{path}");
        let calls = stub.calls();
        assert_eq!((calls[0].key.as_str(), calls[0].path.as_str()), (key, sent), "{path}");
    }
    let models =
        Request::get("/v1/models").header("anthropic-version", "2023-06-01").body(Body::empty()).unwrap();
    let _models = gateway.send(models).await;
    assert_eq!(stub.calls()[0].key, "b-1");
}

#[tokio::test]
async fn a_native_path_without_a_provider_says_so() {
    let stub = Stub::start().await;
    let gateway = Gateway::at(&stub.providers(&ALL[..1])).await;
    for (path, word) in
        [("/v1/messages", "+messages"), ("/v1beta/models/m:generateContent", "+generate_content")]
    {
        let response = gateway.send(post(path, Body::from("{}"))).await;
        assert_eq!((response.status().as_u16(), header(&response, "x-should-retry")), (404, "false"));
        let text = text(response).await;
        assert!(text.contains(word), "{text}");
    }
    assert!(stub.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_path_names_the_one_that_was_meant() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub).await;
    for (path, meant) in [
        ("/chat/completions", "did you mean /v1/chat/completions?"),
        ("/antropic/v1/messages", "did you mean /anthropic/v1/messages?"),
        ("/openai", "did you mean /openai/v1?"),
    ] {
        let response = gateway.send(post(path, Body::from("{}"))).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "x-should-retry")),
            (404, "false"),
            "{path}"
        );
        let text = text(response).await;
        assert!(text.contains(meant) && text.contains("/openai/"), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_upload_stays_with_the_gateway() {
    let stub = Stub::with(|call| {
        let host = call.headers["host"].to_str().unwrap();
        let mut response = reply(200, &json!({"uri": format!("http://{host}/v1beta/files/1")}));
        let next = format!("http://{host}/upload/v1beta/files?upload_id=1&upload_protocol=resumable");
        response.headers_mut().insert("x-goog-upload-url", next.parse().unwrap());
        response
    })
    .await;
    let gateway = gateway(&stub).await;
    for path in ["/gemini/upload/v1beta/files", "/upload/v1beta/files"] {
        let response = gateway.send(post(path, Body::from("{}"))).await;
        let next = header(&response, "x-goog-upload-url").to_owned();
        let own = format!("http://{}/gemini/upload/v1beta/files?upload_id=1", gateway.address);
        assert!(next.starts_with(&own), "{next}");
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(body["uri"], format!("http://{}/v1beta/files/1", stub.address), "the provider's own name");
        stub.calls();
        let rest = next.split_once(&gateway.address.to_string()).unwrap().1;
        gateway.send(post(rest, Body::from("data"))).await;
        assert_eq!(stub.calls()[0].path, "/upload/v1beta/files?upload_id=1&upload_protocol=resumable");
    }
}

#[tokio::test]
async fn results_of_a_batch_are_fetched_through_the_gateway() {
    let stub = Stub::with(|call| {
        let host = call.headers["host"].to_str().unwrap();
        let results = format!("http://{host}/v1/messages/batches/msgbatch_1/results");
        reply(200, &json!({"id": "msgbatch_1", "results_url": results}))
    })
    .await;
    let gateway = gateway(&stub).await;
    let request =
        Request::get("/anthropic/v1/messages/batches/msgbatch_1").header("x-forwarded-proto", "https");
    let response = gateway.send(request.body(Body::empty()).unwrap()).await;
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    let own = format!("https://{}/anthropic/v1/messages/batches/msgbatch_1/results", gateway.address);
    assert_eq!(body["results_url"], own);
}

#[tokio::test]
async fn links_lead_to_the_path_of_a_mounted_gateway() {
    let stub = Stub::with(|call| {
        let host = call.headers["host"].to_str().unwrap();
        let mut response = reply(200, &json!({}));
        let next = format!("http://{host}/upload/v1beta/files?upload_id=1");
        response.headers_mut().insert("x-goog-upload-url", next.parse().unwrap());
        response
    })
    .await;
    let router = router(support::config(&stub.providers(&ALL)), Options::new());
    let app = axum::Router::new().nest("/a", axum::Router::new().nest("/llm", router));
    let mut request = post("/a/llm/gemini/upload/v1beta/files", Body::from("{}"));
    request.headers_mut().insert("host", "localhost".parse().unwrap());
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let next = header(&response, "x-goog-upload-url");
    assert_eq!(next, "http://localhost/a/llm/gemini/upload/v1beta/files?upload_id=1");
}

#[tokio::test]
async fn a_provider_without_websockets_is_a_426() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub).await;
    let head = |protocol: &str, path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    for path in ["/v1/responses", "/v1/realtime?model=m", "/gemini/ws/google.ai.Service"] {
        let stream = support::raw::open(gateway.address, &head("WebSocket", path)).await;
        assert_eq!(
            support::raw::status(&support::raw::until(stream, "has a WebSocket").await),
            426,
            "{path}"
        );
    }
    let stream = support::raw::open(gateway.address, &head("h2c", "/v1/responses")).await;
    assert_eq!(support::raw::status(&support::raw::until(stream, "you_sent").await), 200);
}
