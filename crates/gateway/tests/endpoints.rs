//! A request goes only to providers that have its endpoint, and state stays with its company.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;
use support::stub::Stub;
use support::{Gateway, header, post, text};

async fn gateway(stub: &Stub, providers: &[(&str, &[&str])], more: &str) -> Gateway {
    Gateway::at(&format!("{more}\n{}", stub.providers(providers))).await
}

fn send(method: &str, path: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
    request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn what_only_the_first_has_stays_there() {
    let stub = Stub::start().await;
    let others: [(&str, &[&str]); 3] =
        [("openai", &["limited-1"]), ("anthropic", &["chatonly-1"]), ("gemini", &["chatonly-2"])];
    let gateway = gateway(&stub, &others, "").await;
    for (method, path) in [
        ("POST", "/v1/responses"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/moderations"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/responses/resp_0123456789abcdef"),
        ("POST", "/v1/conversations"),
        ("DELETE", "/v1/models/ft:gpt-4o:me"),
        ("POST", "/v1/vector_stores"),
        ("POST", "/v1/tea"),
    ] {
        let response = gateway.send(send(method, path, r#"{"model":"m","input":"hi"}"#)).await;
        assert_eq!(response.status(), 429, "{method} {path}");
        assert!(!header(&response, "retry-after").is_empty(), "{method} {path}");
        let calls = stub.calls();
        assert!(calls.iter().all(|call| call.key == "limited-1"), "{method} {path}: {calls:?}");
    }
    let response = gateway.send(post("/v1/chat/completions", Body::from("{}"))).await;
    assert_eq!(header(&response, "x-served-by"), "anthropic/k0");
}

#[tokio::test]
async fn a_404_of_a_later_link_does_not_hide_the_wait() {
    let stub = Stub::start().await;
    let tables = stub.providers(&[("openai", &["limited-1"])]);
    let backup = format!(
        "[[provider]]\nname = \"backup\"\ndialect = \"compatible\"\nbase_url = \"http://{}/v1\"\n\
         [[provider.key]]\nid = \"b\"\nsecret = \"chatonly-1\"\n",
        stub.address
    );
    let gateway = Gateway::at(&(tables + &backup)).await;
    for path in ["/v1/responses", "/v1/embeddings"] {
        let response = gateway.send(post(path, Body::from("{}"))).await;
        assert_eq!(response.status(), 429, "{path}");
        let wait: u64 = header(&response, "retry-after").parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn a_body_with_an_id_stays_with_the_company() {
    let stub = Stub::start().await;
    let others: [(&str, &[&str]); 2] = [("openai", &["limited-1"]), ("groq", &["fine-1"])];
    let gateway = gateway(&stub, &others, "").await;
    for body in [
        r#"{"input":"hi","previous_response_id":"resp_0123456789abcdef"}"#,
        r#"{"input":[{"type":"item_reference","id":"rs_0123456789abcdef"}]}"#,
        r#"{"input":"hi","conversation":"conv_0123456789abcdef"}"#,
    ] {
        assert_eq!(gateway.send(post("/v1/responses", Body::from(body))).await.status(), 429, "{body}");
    }
    let file = r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-abcdef123456"}}]}]}"#;
    assert_eq!(gateway.send(post("/v1/chat/completions", Body::from(file))).await.status(), 429);
    let response = gateway.send(post("/v1/responses", Body::from(r#"{"input":"hi"}"#))).await;
    assert_eq!(header(&response, "x-served-by"), "groq/k0");
}

#[tokio::test]
async fn the_file_widens_and_narrows_endpoints() {
    let stub = Stub::start().await;
    let tables = |endpoints: &str| {
        let more = format!("name = \"anthropic\"\nendpoints = {endpoints}\n");
        let tables = stub.providers(&[("openai", &["limited-1"]), ("anthropic", &["fine-1"])]);
        tables.replace("name = \"anthropic\"\n", &more)
    };
    for (endpoints, path, by) in [
        (r#"["+responses"]"#, "/v1/responses", "anthropic/k0"),
        (r#"["+responses"]"#, "/v1/chat/completions", "anthropic/k0"),
        (r#"["-chat"]"#, "/v1/chat/completions", ""),
        (r#"["embeddings"]"#, "/v1/embeddings", "anthropic/k0"),
        (r#"["embeddings"]"#, "/v1/chat/completions", ""),
    ] {
        let gateway = Gateway::at(&tables(endpoints)).await;
        let response = gateway.send(post(path, Body::from("{}"))).await;
        assert_eq!(header(&response, "x-served-by"), by, "{endpoints} {path}");
    }
}

#[tokio::test]
async fn an_endpoint_that_no_link_has_is_named() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &[("anthropic", &["fine-1"])], "").await;
    let response = gateway.send(post("/v1/embeddings", Body::from("{}"))).await;
    assert_eq!((response.status().as_u16(), header(&response, "x-should-retry")), (404, "false"));
    let text = text(response).await;
    assert!(text.contains("unsupported_endpoint") && text.contains("anthropic"), "{text}");
    assert!(stub.calls().is_empty());
}

#[tokio::test]
async fn the_list_of_models_is_that_of_the_chain() {
    let stub = Stub::start().await;
    let renamed = "models = { \"gpt-4o\" = \"claude\", \"*\" = \"claude\" }\n";
    let tables = stub.providers(&[("openai", &["a-1"]), ("gemini", &["b-1"]), ("anthropic", &["c-1"])]);
    let tables = tables.replace("name = \"anthropic\"\n", &format!("name = \"anthropic\"\n{renamed}"));
    let ids = |models: &str, list: &str| {
        let list: Value = serde_json::from_str(list).unwrap();
        let id = |model: &Value| model["id"].as_str().unwrap().to_owned();
        (models.to_owned(), list["data"].as_array().unwrap().iter().map(id).collect::<Vec<_>>())
    };
    let all = ["model-of-a-1", "model-of-b-1", "gpt-4o"];
    for (models, expected) in [("union", &all[..]), ("gemini", &all[1..2])] {
        let gateway = Gateway::at(&format!("[chain]\nmodels = \"{models}\"\n{tables}")).await;
        let response = gateway.send(send("GET", "/v1/models", "")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(ids(models, &text(response).await).1, expected, "{models}");
    }
    let limited: [(&str, &[&str]); 2] = [("openai", &["limited-1"]), ("gemini", &["b-1"])];
    let gateway = gateway(&stub, &limited, "").await;
    let response = gateway.send(send("GET", "/v1/models", "")).await;
    assert_eq!(ids("", &text(response).await).1, ["model-of-b-1"]);
}
