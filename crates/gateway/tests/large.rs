//! Requests as large as the gateway accepts are rotated, renamed and fall over like small ones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::Request;
use support::stub::Stub;
use support::{Gateway, header, post};

/// A chat of about `letters` bytes, with the model at its beginning or its end.
fn chat(letters: usize, model_last: bool) -> Request<Body> {
    let messages = format!(r#""messages":[{{"role":"user","content":"{}"}}]"#, "x".repeat(letters));
    let body = match model_last {
        true => format!(r#"{{{messages},"model":"gpt-4o"}}"#),
        false => format!(r#"{{"model":"gpt-4o",{messages}}}"#),
    };
    post("/v1/chat/completions", Body::from(body))
}

#[tokio::test]
async fn a_large_request_is_rotated() {
    for (first, letters) in [("limited-1", 2_100_000), ("invalid-1", 7_000_000), ("limited-1", 20_000_000)] {
        let stub = Stub::start().await;
        let gateway = Gateway::at(&stub.providers(&[("openai", &[first, "fine-1"])])).await;
        let response = gateway.send(chat(letters, false)).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "x-served-by")),
            (200, "openai/k1"),
            "{first}"
        );
        assert!(stub.calls().last().unwrap().body.len() > letters);
    }
}

#[tokio::test]
async fn a_large_request_falls_over_and_is_renamed() {
    let stub = Stub::start().await;
    let tables = stub.providers(&[("openai", &["limited-1"]), ("gemini", &["fine-1"])]);
    let tables = tables
        .replace("name = \"gemini\"\n", "name = \"gemini\"\nmodels = { \"gpt-4o\" = \"gemini-pro\" }\n");
    let gateway = Gateway::at(&tables).await;
    for (letters, model_last) in [(2_100_000, false), (2_100_000, true), (9_000_000, true)] {
        let response = gateway.send(chat(letters, model_last)).await;
        assert_eq!((response.status().as_u16(), header(&response, "x-served-by")), (200, "gemini/k0"));
        let body = stub.calls().last().unwrap().body.clone();
        let end = if model_last { &body[letters..] } else { &body[..100] };
        assert!(String::from_utf8_lossy(end).contains(r#""model":"gemini-pro""#));
    }
}

#[tokio::test]
async fn a_limit_sees_the_model_behind_a_large_body() {
    let stub = Stub::start().await;
    let limit = "[[provider.limit]]\nmodel = \"gpt-4o\"\nrequests_per_minute = 1\n";
    let gateway = Gateway::at(&(stub.providers(&[("openai", &["fine-1"])]) + limit)).await;
    for status in [200, 429] {
        assert_eq!(gateway.send(chat(3_000_000, true)).await.status(), status);
    }
}
