//! The gateway over real sockets, on simulated providers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde_json::{Value, json};
use support::{Gateway, MARKER, Sims, chat, header, post, text};
use tokio::net::TcpStream;
use tower::ServiceExt;
use tower_key_rotation::ProviderPin;
use tower_key_rotation_gateway::{Options, router};
use tower_key_rotation_sim::{Call, Script, SimFault, SimServer, Simulator};

/// One provider of each dialect: a request to it, and the end of its stream.
const NATIVE: [(&str, &str, &str); 3] = [
    (
        "/openai/v1/chat/completions",
        r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#,
        "[DONE]",
    ),
    (
        "/anthropic/v1/messages",
        r#"{"model":"claude-x","max_tokens":16,"messages":[{"role":"user","content":"hi"}]}"#,
        "message_stop",
    ),
    ("/gemini/v1beta/models/g:generateContent", r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#, "STOP"),
];

fn native(path: &str, body: &str) -> Request<Body> {
    Request::post(path).header("anthropic-version", "2023-06-01").body(Body::from(body.to_owned())).unwrap()
}

fn streaming(path: &str, body: &str) -> Request<Body> {
    match path.strip_suffix(":generateContent") {
        Some(path) => native(&format!("{path}:streamGenerateContent?alt=sse"), body),
        None => native(path, &body.replacen('{', r#"{"stream":true,"#, 1)),
    }
}

#[tokio::test]
async fn a_response_names_the_key_that_served() {
    let sims = Sims::new();
    sims.openai.key("a").fail(1, SimFault::status(429));
    let gateway = Gateway::start(&sims, "").await;
    let response = gateway.send(chat("")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "x-served-by"), "openai/b");
    assert_eq!(header(&response, "x-attempts"), "2");
    assert!(text(response).await.contains("quick brown fox"));
}

#[tokio::test]
async fn the_future_of_a_request_is_small() {
    let (config, _servers) = support::configured(&Sims::new(), "").await;
    let gateway = tower_key_rotation_gateway::Gateway::new(config, Options::new());
    // hyper moves the future into its place, and a connection keeps the room for it.
    let bytes = size_of_val(&gateway.handle(chat(""), None));
    println!("{bytes} bytes");
    assert!(bytes <= 2_048, "{bytes}");
}

#[tokio::test]
async fn one_request_tries_three_providers() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, "chain = { deadline = \"10s\", head_timeout = \"5s\" }").await;
    for (down, by) in [(&sims.openai, "anthropic/"), (&sims.anthropic, "gemini/")] {
        down.script(Script::always(SimFault::status(503)));
        for request in [chat(""), streaming("/v1/chat/completions", NATIVE[0].1)] {
            let response = gateway.send(request).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert!(header(&response, "x-served-by").starts_with(by), "{}", header(&response, "x-served-by"));
            assert!(text(response).await.contains("fox"));
        }
    }
    let only = |log: &[Call], path: &str| log.iter().all(|call| call.path == path);
    let log = sims.gemini.log();
    assert!(only(&log, "/v1beta/openai/chat/completions"), "{log:?}");
    assert!(log.iter().all(|call| call.model.as_deref() == Some("gemini-model") && call.key.is_some()));
    assert!(only(&sims.anthropic.log(), "/v1/chat/completions"));

    sims.gemini.script(Script::always(SimFault::status(503)));
    let response = gateway.send(chat("")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(header(&response, "x-attempts").parse::<u32>().unwrap() >= 1);
    assert!(!response.headers().contains_key("x-served-by"));
}

#[tokio::test]
async fn each_provider_serves_its_native_api() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, "").await;
    for (path, body, end) in NATIVE {
        let response = gateway.send(native(path, body)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let provider = path.split('/').nth(1).unwrap();
        assert_eq!(header(&response, "x-served-by"), format!("{provider}/a"));
        assert!(text(response).await.contains("quick brown fox"), "{path}");

        let response = gateway.send(streaming(path, body)).await;
        assert_eq!(header(&response, "content-type").split(';').next(), Some("text/event-stream"), "{path}");
        let text = text(response).await;
        assert!(text.contains(end), "{path}: {text}");
    }
    for sim in sims.all() {
        assert_eq!(sim.calls(), 2);
        assert!(sim.log().iter().all(|call| call.body_complete && !call.foreign_credentials));
    }
    let models = gateway.send(Request::get("/openai/v1/models").body(Body::empty()).unwrap()).await;
    assert_eq!(models.status(), StatusCode::OK);
}

#[tokio::test]
async fn without_the_token_only_health_is_open() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, &format!("token = \"gw-{MARKER}\"")).await;
    let with = |name: &str, value: &str| {
        let mut request = chat("");
        request.headers_mut().insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        request
    };
    let token = format!("gw-{MARKER}");
    for request in [
        chat(""),
        chat("?key=wrong"),
        with("authorization", "Bearer wrong"),
        with("authorization", "Bearer"),
        with("x-api-key", &format!("{token}x")),
        Request::get("/api/key-status").body(Body::empty()).unwrap(),
        Request::get("/nowhere/at/all").body(Body::empty()).unwrap(),
        native("/anthropic/v1/messages", "{}"),
    ] {
        let response = gateway.send(request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(json_of(response).await["error"]["code"], "invalid_api_key");
    }
    assert!(sims.all().iter().all(|sim| sim.calls() == 0));
    for request in [
        chat(&format!("?a=b&key=gw%2D{MARKER}")),
        with("authorization", &format!("bearer {token}")),
        with("x-api-key", &token),
        with("api-key", &token),
        with("x-goog-api-key", &token),
    ] {
        assert_eq!(gateway.send(request).await.status(), StatusCode::OK);
    }
    let health = gateway.send(Request::get("/health").body(Body::empty()).unwrap()).await;
    assert_eq!(health.status(), StatusCode::OK);
}

#[tokio::test]
async fn caller_credentials_are_neither_sent_nor_logged() {
    let log = support::Captured::default();
    let _guard = log.install();
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, &format!("token = \"gw-{MARKER}\"")).await;
    sims.openai.key("a").script(Script::always(SimFault::status(401)));
    for (path, body, _) in NATIVE.iter().chain([&("/v1/chat/completions", NATIVE[0].1, "")]) {
        let mut request = native(&format!("{path}?key=gw-{MARKER}"), body);
        for name in
            ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"]
        {
            request.headers_mut().insert(name, format!("Bearer sk-{MARKER}-caller").parse().unwrap());
        }
        let response = gateway.send(request).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(!format!("{:?}", response.headers()).contains(MARKER));
        text(response).await;
    }
    for sim in sims.all() {
        assert!(sim.calls() > 0);
        assert!(sim.log().iter().all(|call| !call.foreign_credentials));
    }
    gateway.stop().await.unwrap();
    let log = log.text();
    assert!(log.contains("TRACE") && log.contains("tower_key_rotation"), "the log is on");
    assert!(!log.contains(MARKER), "{}", log.lines().find(|line| line.contains(MARKER)).unwrap());
}

#[tokio::test]
async fn a_stream_is_passed_on_unbuffered() {
    const BEGINNING: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"brown\"}}]}\n\n";
    let (upstream, mut given_up) = support::endless(BEGINNING).await;
    let gateway = Gateway::at(&format!(
        "[[provider]]\nname = \"any\"\ndialect = \"compatible\"\nbase_url = \"http://{upstream}\"\n{}",
        keys(&["a"])
    ))
    .await;
    let (_, body, _) = NATIVE[0];
    let mut response = gateway.send(streaming("/v1/chat/completions", body)).await;
    // The provider never ends this stream, so the response was not held back until its end.
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), BEGINNING);
    given_up.try_recv().unwrap_err();
    drop(response);
    given_up.recv().await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let sims = Sims::new();
    let gateway = Gateway::with(&sims, "", Options::new().max_request(1000)).await;
    let long = json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(1000)}]}).to_string();
    let announced = gateway.send(post("/v1/chat/completions", Body::from(long.clone()))).await;
    let pieces = long
        .as_bytes()
        .chunks(100)
        .map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(piece)));
    let pieces = futures_util::stream::iter(pieces.collect::<Vec<_>>());
    let streamed = gateway.send(post("/v1/chat/completions", Body::from_stream(pieces))).await;
    for response in [announced, streamed] {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(json_of(response).await["error"]["code"], "request_too_large");
    }
    assert!(sims.openai.log().iter().all(|call| !call.body_complete));
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_streamed_request_arrives_complete() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, "").await;
    let (_, body, _) = NATIVE[0];
    let pieces =
        body.as_bytes().chunks(7).map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::from_static(piece)));
    let body = Body::from_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>()));
    let response = gateway.send(post("/v1/chat/completions", body)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(sims.openai.log()[0].body_complete);
}

#[tokio::test]
async fn another_app_can_mount_the_router() {
    let sims = Sims::new();
    let (config, _servers) = support::configured(&sims, "").await;
    let own = axum::routing::get(|| async { "own" });
    let app = axum::Router::new().route("/health", own).nest("/llm", router(config, Options::new()));
    let send = async |path: &str, host: &str| {
        let request = Request::post(path).header("host", host).header("content-type", "application/json");
        let request = request.body(Body::from(NATIVE[0].1)).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    for path in ["/llm/v1/chat/completions", "/llm/openai/v1/chat/completions"] {
        let response = send(path, "localhost").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(header(&response, "x-served-by").starts_with("openai/"), "{path}");
    }
    assert_eq!(send("/llm/v1/models", "app.example").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(send("/llm/health", "localhost").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    for (path, body) in [("/health", "own"), ("/llm/health", "usable_keys")] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(text(response).await.contains(body), "{path}");
    }
}

#[tokio::test]
async fn an_app_sets_extensions_of_the_layers() {
    let sims = Sims::new();
    let (config, _servers) = support::configured(&sims, "").await;
    let app = axum::Router::new().nest("/llm", router(config, Options::new()));
    for provider in ["anthropic", "gemini", "openai"] {
        let mut request = post("/llm/v1/chat/completions", Body::from(NATIVE[0].1));
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        request.extensions_mut().insert(ProviderPin::to(provider));
        let response = app.clone().oneshot(request).await.unwrap();
        assert!(header(&response, "x-served-by").starts_with(provider), "{provider}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500() {
    let options = Options::new().metrics(|| panic!("on purpose: {MARKER}"));
    let gateway = Gateway::with(&Sims::new(), "", options).await;
    let response = gateway.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let text = text(response).await;
    assert!(text.contains("internal_error") && !text.contains(MARKER), "{text}");
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_key_status_has_every_key() {
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::status(401)));
    let gateway = Gateway::start(&sims, "").await;
    gateway.send(chat("")).await;
    let status =
        json_of(gateway.send(Request::get("/api/key-status").body(Body::empty()).unwrap()).await).await;
    assert_eq!(status["chain"], json!(["openai", "anthropic", "gemini"]));
    let openai = &status["providers"][0];
    assert_eq!((&openai["provider"], &openai["keys"][0]["id"]), (&json!("openai"), &json!("a")));
    assert_eq!(
        (&openai["keys"][0]["state"], &openai["keys"][1]["state"]),
        (&json!("invalid"), &json!("available"))
    );
    assert!(!status.to_string().contains(MARKER));
}

#[tokio::test]
async fn the_health_follows_the_chain() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, "chain = { order = [\"openai\"] }").await;
    let health = || gateway.send(Request::get("/health").body(Body::empty()).unwrap());
    assert_eq!(json_of(health().await).await, json!({"status": "ok", "usable_keys": 2}));
    for label in ["a", "b"] {
        sims.openai.key(label).revoke();
    }
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(json_of(health().await).await["usable_keys"], 2, "the request may be to blame");
    let embeddings = post("/v1/embeddings", Body::from(r#"{"model":"m","input":"hi"}"#));
    assert_eq!(gateway.send(embeddings).await.status(), StatusCode::UNAUTHORIZED);
    let response = health().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(response).await["status"], "down");
}

#[tokio::test]
async fn an_unknown_path_lists_the_paths() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, "").await;
    for path in ["/nobody/v1/messages", "/openai", "/favicon.ico"] {
        let response = gateway.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(text(response).await.contains("/v1/ or /openai/, /anthropic/, /gemini/"), "{path}");
    }
}

#[tokio::test]
async fn a_stop_waits_for_streams() {
    let sims = Sims::slow(Duration::from_millis(20));
    let gateway = Gateway::start(&sims, "").await;
    let (path, body, end) = NATIVE[0];
    let mut response = gateway.send(streaming(path, body)).await;
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    let unused = TcpStream::connect(gateway.address).await.unwrap();
    let stopping = tokio::spawn(gateway.stop());
    support::closed(unused).await;
    let rest = text(response).await;
    assert!(rest.contains(end), "{first:?} {rest}");
    assert!(stopping.await.unwrap().is_ok());
}

#[tokio::test]
async fn hop_by_hop_headers_are_removed() {
    let (upstream, seen) = support::echo().await;
    let gateway = Gateway::at(&format!(
        "[[provider]]\nname = \"any\"\ndialect = \"compatible\"\nbase_url = \"http://{upstream}/api/v1\"\n\
         [[provider.key]]\nid = \"é\"\nsecret = \"sk-1\"\n"
    ))
    .await;
    for (path, expected) in [("/v1/things?a=b", "/api/v1/things?a=b"), ("/any/v1/x%2Fy", "/api/v1/x%2Fy")] {
        let request = Request::post(path)
            .header("connection", "close")
            .header("connection", "te, x-hop")
            .header("x-hop", "1")
            .header("te", "trailers")
            .header("upgrade", "h2c")
            .header("accept-encoding", "gzip")
            .header("x-mine", "kept")
            .body(Body::from("{}"));
        let response = gateway.send(request.unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        for gone in ["keep-alive", "x-down", "set-cookie"] {
            assert!(!response.headers().contains_key(gone), "{gone}");
        }
        assert_eq!(response.headers()["x-served-by"].as_bytes(), "any/é".as_bytes());
        let (uri, headers): (String, HeaderMap) = seen.lock().unwrap().pop().unwrap();
        assert_eq!(uri, expected);
        assert_eq!(headers["host"], upstream.to_string());
        assert_eq!(headers["x-mine"], "kept");
        let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        for gone in ["connection", "x-hop", "te", "upgrade", "accept-encoding"] {
            assert!(!names.contains(&gone), "{names:?}");
        }
    }
}

async fn json_of<B: http_body::Body<Error: std::fmt::Debug>>(response: http::Response<B>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

// === limits, sessions and metrics ===

/// A gateway to one provider. In its configuration `first` comes first, and `rest` follows the base URL.
async fn limited(sim: &Simulator, first: &str, rest: &str) -> (Gateway, SimServer) {
    let server = sim.serve().await.unwrap();
    let origin = server.origin();
    let text = format!("{first}\n[[provider]]\nname = \"openai\"\nbase_url = \"{origin}/v1\"\n{rest}");
    (Gateway::at(&text).await, server)
}

fn keys(ids: &[&str]) -> String {
    let key = |id: &&str| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"{}\"\n", support::secret(id));
    ids.iter().map(key).collect()
}

#[tokio::test]
async fn a_declared_limit_saves_calls() {
    let sims = Sims::new();
    for limit in [
        "[[provider.limit]]\nrequests_per_minute = 1",
        "[[provider.limit]]\nmodel = \"gpt*\"\nrequests_per_minute = 1",
    ] {
        let before = sims.openai.calls();
        let rest = format!("{limit}\n{}", keys(&["a"]));
        let (gateway, _server) = limited(&sims.openai, "", &rest).await;
        assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
        let response = gateway.send(chat("")).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = header(&response, "retry-after").parse().unwrap();
        assert!((50..=60).contains(&wait), "{wait}");
        assert_eq!(header(&response, "x-attempts"), "0");
        assert_eq!(sims.openai.calls() - before, 1, "{limit}");
    }
}

#[tokio::test]
async fn the_key_status_has_limits() {
    let sims = Sims::new();
    let rest = format!("[[provider.limit]]\nrequests_per_minute = 9\n{}", keys(&["a"]));
    let (gateway, _server) = limited(&sims.openai, "", &rest).await;
    text(gateway.send(chat("")).await).await;
    let status = gateway.send(Request::get("/api/key-status").body(Body::empty()).unwrap()).await;
    let status = json_of(status).await;
    let key = &status["providers"][0]["keys"][0];
    let limit = &key["limits"][0];
    assert_eq!((&limit["metric"], &limit["source"]), (&json!("requests"), &json!("declared")));
    assert_eq!((&limit["limit"], &limit["remaining"]), (&json!(9), &json!(8)));
    assert_eq!(key["in_flight"], 0);
    assert!(key["usage"].to_string().contains("tokens"), "{key}");
    assert_eq!(key["model_limits"][0]["limits"][0]["source"], "learned");
    assert!(!status.to_string().contains(MARKER));
}

#[tokio::test]
async fn a_session_keeps_its_key() {
    let (upstream, seen) = support::echo().await;
    let provider = "[[provider]]\nname = \"any\"\ndialect = \"compatible\"";
    let text = format!(
        "[rotation]\naffinity_header = \"X-Session-Id\"\n{provider}\nbase_url = \"http://{upstream}\"\n{}",
        keys(&["a", "b", "c", "d"])
    );
    let gateway = Gateway::at(&text).await;
    let mut homes = std::collections::BTreeSet::new();
    for path in ["/v1/things", "/any/v1/things"] {
        for session in ["one", "two", "three", "four", "five"] {
            let mut by = std::collections::BTreeSet::new();
            for _ in 0..5 {
                let request = Request::post(path).header("x-session-id", session).body(Body::from("{}"));
                by.insert(header(&gateway.send(request.unwrap()).await, "x-served-by").to_owned());
            }
            assert_eq!(by.len(), 1, "{session}: {by:?}");
            homes.extend(by);
        }
        let mut without = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let request = Request::post(path).body(Body::from("{}")).unwrap();
            without.insert(header(&gateway.send(request).await, "x-served-by").to_owned());
        }
        assert_eq!(without.len(), 4, "a request of no session takes its turn");
    }
    assert!(homes.len() > 1, "not all sessions have one home: {homes:?}");
    assert!(seen.lock().unwrap().iter().all(|(_, headers)| !headers.contains_key("x-session-id")));
}

#[tokio::test]
async fn metrics_need_the_token() {
    let times = Matcher::Suffix("_seconds".to_owned());
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(times, &[120.0]).unwrap().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let sims = Sims::new();
    sims.openai.key("a").fail(1, SimFault::status(429));
    let recorded = recorder.handle();
    let options = Options::new().metrics(move || recorded.render());
    let gateway = Gateway::with(&sims, &format!("token = \"gw-{MARKER}\""), options).await;
    let with_token = |mut request: Request<Body>| {
        request.headers_mut().insert("authorization", format!("Bearer gw-{MARKER}").parse().unwrap());
        request
    };
    let scrape = || Request::get("/metrics").body(Body::empty()).unwrap();
    assert_eq!(gateway.send(scrape()).await.status(), StatusCode::UNAUTHORIZED);
    // Counting begins with the first scrape.
    assert_eq!(gateway.send(with_token(scrape())).await.status(), StatusCode::OK);
    text(gateway.send(with_token(chat(""))).await).await;

    let response = gateway.send(with_token(scrape())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = text(response).await;
    for line in [
        "# TYPE tower_key_rotation_attempts_total counter",
        r#"attempts_total{provider="openai",key="a",outcome="rate_limited"} 1"#,
        r#"attempts_total{provider="openai",key="b",outcome="success"} 1"#,
        r#"attempt_duration_seconds_bucket{provider="openai",model="openai-model",outcome="success",le="120"} 1"#,
        r#"tokens_total{provider="openai",model="openai-model",direction="output"} "#,
        r#"keys{provider="gemini",state="available"} 2"#,
        r#"key_state{provider="anthropic",key="b",state="available"} 1"#,
        r#"quota_remaining_ratio{provider="openai",key="b",account="","#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.lines().all(is_exposition), "{text}");
    assert!(!text.contains(MARKER), "{text}");
}

/// Returns whether a line is a comment, empty, or one of this crate's names with a number at its end.
fn is_exposition(line: &str) -> bool {
    let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    line.is_empty() || line.starts_with("# ") || (line.starts_with("tower_key_rotation_") && value.is_some())
}

#[tokio::test]
async fn without_a_recorder_metrics_are_404() {
    let gateway = Gateway::start(&Sims::new(), "").await;
    let response = gateway.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
