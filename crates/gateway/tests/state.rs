//! What a caller stores belongs to one account, and later requests find it there. Two accounts, no configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use support::stub::{Stub, StubCall, reply};
use support::{Gateway, header, post, text};

/// Two accounts of each provider.
const TWO: [(&str, &[&str]); 3] =
    [("openai", &["a", "b"]), ("anthropic", &["a", "b"]), ("gemini", &["a", "b"])];

/// Makes objects whose ids name their key, and knows only those of the key that asks.
fn accounts(call: &StubCall) -> Response<Body> {
    let body = String::from_utf8_lossy(&call.body).into_owned();
    let named = format!("{} {body}", call.path);
    let other = if call.key == "a" { "bbbb2222" } else { "aaaa1111" };
    if named.contains(other) {
        let status = if body.contains(other) { 400 } else { 404 };
        let message = format!("No such object: {other} was not found");
        return reply(
            status,
            &json!({"error": {"message": message, "type": "invalid_request_error", "code": null}}),
        );
    }
    let own = if call.key == "a" { "aaaa1111" } else { "bbbb2222" };
    let turn = body.len();
    match call.path.as_str() {
        "/v1/files" => reply(200, &json!({"id": format!("file-{own}{turn}"), "object": "file"})),
        "/v1/batches" => reply(200, &json!({"id": format!("batch_{own}{turn}"), "output_file_id": null})),
        "/v1/responses" => {
            reply(200, &json!({"id": format!("resp_{own}{turn}"), "output": [{"id": format!("rs_{own}")}]}))
        }
        "/v1/messages/batches" => {
            reply(200, &json!({"id": format!("msgbatch_{own}"), "type": "message_batch"}))
        }
        "/v1beta/cachedContents" => reply(200, &json!({"name": format!("cachedContents/{own}")})),
        _ => reply(200, &json!({"ok": true, "choices": []})),
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn with(path: &str, body: &Value) -> Request<Body> {
    post(path, Body::from(body.to_string()))
}

async fn gateway(stub: &Stub) -> Gateway {
    Gateway::at(&stub.providers(&TWO)).await
}

/// Makes an object, and returns the text at a place of the response.
async fn made(gateway: &Gateway, request: Request<Body>, at: &str) -> String {
    let response = gateway.send(request).await;
    assert_eq!(response.status(), 200);
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    body.pointer(at).unwrap().as_str().unwrap().to_owned()
}

async fn served(gateway: &Gateway, request: Request<Body>) {
    let path = request.uri().to_string();
    let response = gateway.send(request).await;
    assert_eq!((response.status().as_u16(), header(&response, "x-attempts")), (200, "1"), "{path}");
}

#[tokio::test]
async fn files_and_batches_are_found() {
    let stub = Stub::with(accounts).await;
    let gateway = gateway(&stub).await;
    for turn in 0..6 {
        let file = made(&gateway, with("/v1/files", &json!({"n": "x".repeat(turn)})), "/id").await;
        served(&gateway, get(&format!("/v1/files/{file}"))).await;
        served(&gateway, get(&format!("/openai/v1/files/{file}/content"))).await;
        let batch = json!({"input_file_id": file, "endpoint": "/v1/chat/completions"});
        let batch = made(&gateway, with("/v1/batches", &batch), "/id").await;
        served(&gateway, with(&format!("/v1/batches/{batch}/cancel"), &json!({}))).await;
        let chat = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": file}}]}]});
        served(&gateway, with("/v1/chat/completions", &chat)).await;
    }
}

#[tokio::test]
async fn an_earlier_response_is_found() {
    let stub = Stub::with(accounts).await;
    let gateway = gateway(&stub).await;
    for turn in 0..6 {
        let first = made(&gateway, with("/v1/responses", &json!({"input": "x".repeat(turn)})), "/id").await;
        let next = json!({"previous_response_id": first, "input": "more"});
        served(&gateway, with("/v1/responses", &next)).await;
        served(&gateway, get(&format!("/v1/responses/{first}"))).await;
    }
    let item = made(&gateway, with("/v1/responses", &json!({"input": "x"})), "/output/0/id").await;
    served(&gateway, with("/v1/responses", &json!({"input": [{"type": "item_reference", "id": item}]})))
        .await;
}

#[tokio::test]
async fn native_objects_are_found() {
    let stub = Stub::with(accounts).await;
    let gateway = gateway(&stub).await;
    for _ in 0..4 {
        let batch =
            made(&gateway, with("/anthropic/v1/messages/batches", &json!({"requests": []})), "/id").await;
        served(&gateway, get(&format!("/v1/messages/batches/{batch}/results"))).await;
        let cache = made(&gateway, with("/gemini/v1beta/cachedContents", &json!({})), "/name").await;
        served(&gateway, get(&format!("/v1beta/{cache}"))).await;
        let call = json!({"contents": [], "cachedContent": cache});
        served(&gateway, with("/gemini/v1beta/models/m:generateContent", &call)).await;
    }
}

#[tokio::test]
async fn an_object_of_an_unknown_account_is_looked_for() {
    let stub = Stub::with(accounts).await;
    let gateway = gateway(&stub).await;
    for id in ["aaaa1111", "bbbb2222"] {
        for _ in 0..2 {
            for request in [
                get(&format!("/v1/files/file-{id}")),
                get(&format!("/v1/responses/resp_{id}")),
                with("/v1/responses", &json!({"previous_response_id": format!("resp_{id}"), "input": "x"})),
            ] {
                let path = request.uri().to_string();
                assert_eq!(gateway.send(request).await.status(), 200, "{path} {id}");
            }
        }
    }
    let unknown =
        with("/v1/responses", &json!({"previous_response_id": "resp_aaaa1111bbbb2222", "input": "x"}));
    assert_eq!(gateway.send(unknown).await.status(), 400, "the provider's own response");
    assert_eq!(gateway.send(get("/v1/files/file-aaaa1111bbbb2222")).await.status(), 404);
    // No key has a cooldown for that.
    for _ in 0..4 {
        served(&gateway, with("/v1/chat/completions", &json!({"model": "m", "messages": []}))).await;
    }
}

#[tokio::test]
async fn a_session_stays_at_its_key() {
    let stub = Stub::with(accounts).await;
    let gateway = gateway(&stub).await;
    let mut homes = std::collections::HashSet::new();
    for session in 0..8 {
        let mut keys = std::collections::HashSet::new();
        for turn in 0..5 {
            let name = format!("session-{session}");
            let bodies = [
                json!({"model": "m", "messages": [], "prompt_cache_key": name}),
                json!({"model": "m", "messages": [], "metadata": {"user_id": name}}),
                json!({"model": "m", "messages": []}),
            ];
            let mut request = with("/v1/chat/completions", &bodies[turn % 3]);
            if turn % 3 == 2 {
                request.headers_mut().insert("x-claude-code-session-id", name.parse().unwrap());
            }
            assert_eq!(gateway.send(request).await.status(), 200);
            keys.extend(stub.calls().into_iter().map(|call| call.key));
        }
        assert_eq!(keys.len(), 1, "session {session}: {keys:?}");
        homes.extend(keys);
    }
    assert_eq!(homes.len(), 2);
}

#[tokio::test]
async fn a_limited_home_is_waited_for() {
    let stub = Stub::with(|call| match call.path.as_str() {
        "/v1/chat/completions" if call.key == "a" => {
            reply(429, &json!({"error": {"message": "Rate limit reached. Please try again in 20s.", "code": "rate_limit_exceeded"}}))
        }
        _ => accounts(call),
    })
    .await;
    let gateway = gateway(&stub).await;
    let mut file = String::new();
    while !file.contains("aaaa") {
        file = made(&gateway, with("/v1/files", &json!({})), "/id").await;
    }
    let chat = json!({"model": "m", "messages": [{"file_id": file}]});
    for _ in 0..2 {
        let response = gateway.send(with("/v1/chat/completions", &chat)).await;
        assert_eq!(response.status(), 429);
        assert!(["19", "20"].contains(&header(&response, "retry-after")));
    }
    assert!(stub.calls().iter().all(|call| call.key == "a" || call.path == "/v1/files"));
}
