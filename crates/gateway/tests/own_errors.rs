//! The gateway's own errors: in the shape of the caller's API, with the provider, the reason and the next step.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::Value;
use support::stub::Stub;
use support::{Captured, Gateway, header, post, text};

/// A path of each API, and a body for it.
const NATIVE: [(&str, &str); 3] = [
    ("/v1/chat/completions", r#"{"model":"m","messages":[]}"#),
    ("/anthropic/v1/messages", r#"{"model":"m","messages":[]}"#),
    ("/gemini/v1beta/models/m:generateContent", r#"{"contents":[]}"#),
];

async fn gateway(stub: &Stub, keys: &[&str], more: &str) -> Gateway {
    let providers = stub.providers(&[("openai", keys), ("anthropic", keys), ("gemini", keys)]);
    Gateway::at(&format!("{more}\n[chain]\norder = [\"openai\"]\n{providers}")).await
}

async fn json(response: Response<Incoming>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

fn call(at: usize) -> Request<Body> {
    let (path, body) = NATIVE[at];
    post(path, Body::from(body))
}

#[tokio::test]
async fn each_api_has_its_own_shape() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &["limited-1"], "").await;
    for (at, (kind, word)) in [
        ("/error/type", "gateway_error"),
        ("/error/type", "rate_limit_error"),
        ("/error/status", "RESOURCE_EXHAUSTED"),
    ]
    .into_iter()
    .enumerate()
    {
        let _first = gateway.send(call(at)).await;
        let second = gateway.send(call(at)).await;
        assert_eq!(second.status(), 429);
        assert_eq!(header(&second, "retry-after"), "20");
        assert_eq!(header(&second, "x-should-retry"), "");
        let id = header(&second, "x-request-id").to_owned();
        assert!(id.starts_with("req_") && header(&second, "request-id") == id, "{id}");
        let body = json(second).await;
        assert_eq!(body.pointer(kind).unwrap(), word, "{body}");
        assert!(body.to_string().contains(&id), "{body}");
        assert!(body.to_string().contains("rate_limit_exceeded") || at == 2, "{body}");
        let message = body.pointer("/error/message").unwrap().as_str().unwrap();
        let provider = ["openai", "anthropic", "gemini"][at];
        for part in [provider, "rate_limited", "add keys", "try again in 20 s"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(body["type"] == "error", at == 1, "{body}");
        assert_eq!(body.to_string().contains(r#""retryDelay":"20s""#), at == 2, "{body}");
    }
}

#[tokio::test]
async fn what_time_does_not_mend_is_not_retried() {
    for (key, status, code) in [
        ("invalid-1", 403, "no_usable_key"),
        ("broke-1", 429, "insufficient_quota"),
        ("later-1", 429, "rate_limit_exceeded"),
    ] {
        let stub = Stub::start().await;
        let gateway = gateway(&stub, &[key], "").await;
        for _ in 0..2 {
            gateway.send(post("/v1/embeddings", Body::from("{}"))).await;
            assert_eq!(header(&gateway.send(call(0)).await, "x-should-retry"), "false", "{key}");
        }
        let response = gateway.send(call(0)).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "x-should-retry")),
            (status, "false"),
            "{key}"
        );
        assert_eq!(json(response).await["error"]["code"], code, "{key}");
    }
}

#[tokio::test]
async fn invalid_keys_ask_no_agent_to_come_back() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &["invalid-1"], "").await;
    for (at, kind) in [(0, "gateway_error"), (1, "permission_error"), (2, "PERMISSION_DENIED")] {
        let models = ["/v1/models", "/anthropic/v1/models", "/gemini/v1beta/models"][at];
        for _ in 0..2 {
            // The refusal of the provider itself is delivered until it is sure that it is about the key.
            gateway.send(call(at)).await;
            gateway.send(Request::get(models).body(Body::empty()).unwrap()).await;
        }
        let own = gateway.send(call(at)).await;
        assert_eq!((own.status().as_u16(), header(&own, "x-should-retry")), (403, "false"));
        assert_eq!((header(&own, "retry-after"), header(&own, "retry-after-ms")), ("", ""));
        let body = text(own).await;
        // Agents read sentences such as "try again in 30 s", and stay in a loop.
        assert!(body.contains(kind) && body.contains("invalid_key") && !body.contains("try again"), "{body}");
        assert!(!body.contains("retryDelay"), "{body}");
    }
}

#[tokio::test]
async fn a_refusal_speaks_the_api_of_its_path() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &["fine-1"], "token = \"a-token-of-the-gateway\"").await;
    for (at, (kind, word)) in [
        ("/error/code", "invalid_api_key"),
        ("/error/type", "authentication_error"),
        ("/error/status", "UNAUTHENTICATED"),
    ]
    .into_iter()
    .enumerate()
    {
        let response = gateway.send(call(at)).await;
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, "x-should-retry"), "false");
        let body = json(response).await;
        assert_eq!(body.pointer(kind).unwrap(), word, "{body}");
    }
    let mut request =
        Request::get("/anthropic/v1/models?key=a-token-of-the-gateway").body(Body::empty()).unwrap();
    assert_eq!(gateway.send(request).await.status(), 200);
    request = Request::get("/anthropic/v1/models").body(Body::empty()).unwrap();
    assert_eq!(json(gateway.send(request).await).await["type"], "error");
}

#[tokio::test]
async fn a_413_names_the_limit_and_the_flag() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &["fine-1"], "").await;
    let raw =
        "POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40000000\r\nconnection: close\r\n\r\n";
    let response = support::raw::exchange(gateway.address, raw).await;
    for part in ["413", "33554432", "32 MiB", "--max-request", "x-should-retry: false"] {
        assert!(response.contains(part), "{part}: {response}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_log_has_the_reasons_at_info() {
    let captured = Captured::default();
    let _guard = captured.install();
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &["invalid-1"], "").await;
    let _first = gateway.send(call(0)).await;
    let _second = gateway.send(call(0)).await;
    let log = captured.text();
    let line = log.lines().find(|line| line.contains("request failed")).expect("a line");
    for part in ["INFO", "openai", "invalid_key", "401"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
