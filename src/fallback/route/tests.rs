//! Where a request goes, and what of its head goes along.

mod documents;
mod renaming;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;

use crate::fallback::route::*;

const CHAT: &str = "https://api.openai.com/v1/chat/completions?x=1";

struct Sent {
    uri: String,
    headers: HeaderMap,
    model: Option<ModelId>,
    body: Bytes,
}

async fn sent(route: &Route, request: Request<ReplayBody>, model: Option<&str>) -> Result<Sent, Unroutable> {
    let (mut parts, body) = request.into_parts();
    let model = model.map(ModelId::from);
    let body = if route.renames() { route.rename(&mut parts, &body, model.as_ref()).await? } else { body };
    let mut request = Request::from_parts(parts, body);
    route.direct(&mut request)?;
    let (parts, body) = request.into_parts();
    Ok(Sent {
        uri: parts.uri.to_string(),
        model: parts.extensions.get().cloned(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    })
}

fn post(uri: &str, body: impl Into<Bytes>) -> Request<ReplayBody> {
    let body: Bytes = body.into();
    Request::post(uri).header("content-length", body.len()).body(ReplayBody::from(body)).unwrap()
}

async fn url(route: &Route, from: &str) -> String {
    sent(route, post(from, ""), None).await.unwrap().uri
}

#[tokio::test]
async fn a_new_route_changes_nothing() {
    let mut request = post(CHAT, r#"{"model":"m"}"#);
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer own"));
    let pointer = request.body().clone().try_into_bytes().unwrap().as_ptr();
    let out = sent(&Route::new().from_prefix("/x"), request, Some("m")).await.unwrap();
    assert_eq!((out.uri.as_str(), out.body.as_ptr()), (CHAT, pointer), "shared, not copied");
    assert_eq!(out.headers["authorization"], "Bearer own");
}

#[tokio::test]
async fn the_prefix_gives_way_to_the_path_of_the_base() {
    let to = |base| Route::to(base).unwrap();
    for (route, from, expected) in [
        (to("https://a.example/v1"), CHAT, "https://a.example/v1/chat/completions?x=1"),
        (to("https://a.example/v1/"), "/v1/chat/completions", "https://a.example/v1/chat/completions"),
        (to("http://a.example:8080/api/openai/"), "/v1/models", "http://a.example:8080/api/openai/models"),
        (to("https://a.example"), "/v1/models", "https://a.example/models"),
        (to("https://a.example"), "/v1", "https://a.example/"),
        (to("https://a.example/v2"), "/v1", "https://a.example/v2"),
        (to("https://a.example/v2"), "/v1beta/models", "https://a.example/v2/v1beta/models"),
        (to("https://a.example/v2"), "http://b.example", "https://a.example/v2/"),
        (to("https://a.example/v2").from_prefix(""), "/v1/models", "https://a.example/v2/v1/models"),
        (
            to("https://a.example/v2").from_prefix("openai/v1/"),
            "/openai/v1/m?a=b&c",
            "https://a.example/v2/m?a=b&c",
        ),
        (Route::openai(), "/v1/embeddings", "https://api.openai.com/v1/embeddings"),
        (Route::anthropic_compatible(), CHAT, "https://api.anthropic.com/v1/chat/completions?x=1"),
        (
            Route::gemini_compatible(),
            "/v1/chat/completions",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        ),
    ] {
        assert_eq!(url(&route, from).await, expected, "{from}");
    }
}

#[tokio::test]
async fn no_path_leaves_the_base() {
    for base in ["https://a.example/v1", "https://a.example/tenants/a/v1", "https://a.example"] {
        let route = Route::to(base).unwrap();
        for path in
            ["/v1/../x", "/v1/%2e%2e/x", "/v1/..%2fx", "/v1/%5c..%5cx", "/v1/%252E./x", "/../x", "/v1/..;/x"]
        {
            let sent = sent(&route, post(path, ""), None).await;
            assert_eq!(sent.err(), Some(Unroutable::Url), "{base} {path}");
        }
        assert!(url(&route, "/v1//tenants/b/v9/x").await.starts_with(base));
    }
}

#[test]
fn what_is_no_base_url_is_refused() {
    for text in [
        "/v1",
        "api.openai.com/v1",
        "ftp://a.example/",
        "https://user:password@a.example/v1",
        "https://a.example/v1?key=x",
        "https://a.example/v1#x",
        "https:///v1",
        "https://a.example:/v1",
        "https://a.example:http/v1",
        "https://a.example:99999/v1",
    ] {
        let error = Route::to(text).expect_err(text).to_string();
        assert!(!error.contains("password"), "{error}");
    }
}

#[tokio::test]
async fn what_belonged_to_the_other_place_stays_behind() {
    let mut request = post("https://a.example/v1/x?key=secret&alt=sse", "");
    for (name, value) in [
        ("host", "a.example"),
        ("authorization", "Bearer own"),
        ("x-api-key", "own"),
        ("openai-organization", "org"),
        ("user-agent", "sdk"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let route = Route::to("https://b.example/v1")
        .unwrap()
        .drop_header(HeaderName::from_static("openai-organization"))
        .set_header(HeaderName::from_static("user-agent"), HeaderValue::from_static("chain"))
        .set_header(HeaderName::from_static("x-api-key"), HeaderValue::from_static("theirs"));
    let out = sent(&route, request, None).await.unwrap();
    assert_eq!(out.uri, "https://b.example/v1/x?alt=sse");
    assert!(!format!("{route:?}").contains("theirs"));
    let mut names: Vec<_> =
        out.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    names.sort_by_key(|(name, _)| *name);
    assert_eq!(names, [("content-length", &b"0"[..]), ("user-agent", b"chain"), ("x-api-key", b"theirs")]);
}
