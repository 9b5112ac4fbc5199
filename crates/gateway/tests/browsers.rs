//! Pages of the origins in `[cors]` may use the gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::{Method, Request};
use support::stub::Stub;
use support::{Gateway, header, post};
use tower_key_rotation_gateway::config::{Format, Loader};

const CORS: &str = "[cors]\norigins = [\"https://app.example\", \"app://obsidian.md\"]";

async fn gateway(stub: &Stub, more: &str) -> Gateway {
    Gateway::at(&format!("{more}\n{}", stub.providers(&[("openai", &["fine-1"])]))).await
}

fn preflight(origin: &str) -> Request<Body> {
    let request =
        Request::builder().method(Method::OPTIONS).uri("/v1/chat/completions").header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request
        .header("access-control-request-headers", "authorization,content-type")
        .body(Body::empty())
        .unwrap()
}

fn from(origin: &str, token: &str) -> Request<Body> {
    let mut request = post("/v1/chat/completions", Body::from("{}"));
    request.headers_mut().insert("origin", origin.parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &format!("token = \"a-token-of-the-gateway\"\n{CORS}")).await;
    for origin in ["https://app.example", "app://obsidian.md"] {
        let response = gateway.send(preflight(origin)).await;
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, "access-control-allow-origin"), origin);
        assert_eq!(header(&response, "access-control-allow-methods"), "POST");
        assert!(header(&response, "access-control-allow-headers").contains("authorization"));
    }
    let response = gateway.send(preflight("https://evil.example")).await;
    assert_eq!(header(&response, "access-control-allow-origin"), "");
    assert!(stub.calls().is_empty());
}

#[tokio::test]
async fn a_page_reads_responses_and_errors() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, &format!("token = \"a-token-of-the-gateway\"\n{CORS}")).await;
    for (token, status) in [("a-token-of-the-gateway", 200), ("wrong", 401)] {
        let response = gateway.send(from("https://app.example", token)).await;
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
        let exposed = header(&response, "access-control-expose-headers");
        assert!(exposed.contains("x-served-by") && exposed.contains("retry-after"), "{exposed}");
    }
    let calls = stub.calls();
    let names = ["origin", "referer", "cookie", "access-control-request-method"];
    assert!(names.iter().all(|name| !calls[0].headers.contains_key(*name)), "{:?}", calls[0].headers);
}

#[tokio::test]
async fn a_listed_origin_needs_no_token_if_there_is_none() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, CORS).await;
    for (origin, status) in [("https://app.example", 200), ("https://evil.example", 403)] {
        assert_eq!(gateway.send(from(origin, "any")).await.status(), status, "{origin}");
    }
}

#[tokio::test]
async fn without_the_table_nothing_changes() {
    let stub = Stub::start().await;
    let gateway = gateway(&stub, "token = \"a-token-of-the-gateway\"").await;
    assert_eq!(gateway.send(preflight("https://app.example")).await.status(), 401);
    let response = gateway.send(from("https://app.example", "a-token-of-the-gateway")).await;
    assert_eq!((response.status().as_u16(), header(&response, "access-control-allow-origin")), (200, ""));
}

#[test]
fn all_origins_need_a_token() {
    let load = |text: &str| {
        let text = format!(
            "{text}\n[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\nkeys_env = \"A\"\n"
        );
        Loader::new()
            .vars([("A_API_KEY", "sk-one")])
            .parse(&text, Format::Toml)
            .map_err(|error| error.to_string())
    };
    assert!(load("token = \"a-token-of-the-gateway\"\n[cors]\norigins = [\"*\"]").is_ok());
    for open in ["*", "null"] {
        let error = load(&format!("[cors]\norigins = [\"{open}\"]")).unwrap_err();
        assert!(error.contains("cors.origins[0]"), "{error}");
    }
    assert!(load("[cors]\norigins = [\"https://a.example/path\"]").unwrap_err().contains("not an origin"));
}
