//! A wrong URL is the fault of its author: no key is blamed for it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod classify_support;
mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use classify_support::judge_with;
use http::{Request, Response};
use http_body_util::Full;
use support::{chat, pool_of, send, text};
use tower::{Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{KeyRotationLayer, Provider};

const PAGE: &str = "<!DOCTYPE html><html><head><title>Not Found</title></head><body>No account, no quota, \
    no model, no permission; invalid api key. Try again in 5 minutes.</body></html>";

/// The responses where an API has no such endpoint, and where there is no API at all.
const ANSWERS: [(u16, &str); 17] = [
    (404, ""),
    (404, PAGE),
    (405, ""),
    (405, PAGE),
    (410, PAGE),
    (301, PAGE),
    (308, ""),
    (404, "404 page not found"),
    (404, "default backend - 404"),
    (405, "Method Not Allowed"),
    (404, r#"{"detail":"Not Found"}"#),
    (405, r#"{"detail":"Method Not Allowed"}"#),
    (404, r#"{"error":{"code":"404","message":"Resource not found"}}"#),
    (404, r#"{"type":"error","error":{"type":"not_found_error","message":"Not found"}}"#),
    (404, r#"{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}"#),
    (
        404,
        r#"{"error":{"message":"Invalid URL (POST /v1/v1/chat/completions)","type":"invalid_request_error","param":null,"code":null}}"#,
    ),
    (
        404,
        r#"{"error":{"message":"Unknown request URL: POST /v1. Please check the URL for typos.","type":"invalid_request_error","code":"unknown_url"}}"#,
    ),
];

const HEADERS: [(&str, &str); 2] = [("retry-after", "300"), ("content-type", "text/html; charset=utf-8")];

#[test]
fn a_wrong_url_is_no_fault_at_any_provider() {
    for provider in Provider::presets().chain(["nobody-knows"]) {
        for (status, body) in ANSWERS {
            let verdict = judge_with(provider, status, &HEADERS, body);
            assert_eq!(verdict, "rejected", "{provider} {status} {body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_url_starts_no_cooldown() {
    for (status, body) in ANSWERS {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let client = service_fn(move |_: Request<ReplayBody>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = HEADERS.iter().fold(Response::builder().status(status), |answer, (name, value)| {
                answer.header(*name, *value)
            });
            async move { Ok::<_, Infallible>(answer.body(Full::<Bytes>::from(body)).unwrap()) }
        });
        let pool = pool_of(Provider::openai(), &["a", "b"]);
        let service = KeyRotationLayer::new(pool.clone()).layer(client);
        for call in 1..=3 {
            let response = send(&service, chat("m")).await.unwrap();
            assert_eq!((response.status().as_u16(), text(response).await), (status, body.to_owned()));
            assert_eq!(calls.load(Ordering::Relaxed), call, "no other key would do better: {status} {body}");
        }
        for key in pool.snapshot().keys {
            assert_eq!((key.state, key.faults), (KeyState::Available, 0), "{status} {body}");
            assert!(key.models.iter().all(|model| model.state == KeyState::Available), "{status} {body}");
        }
    }
}
