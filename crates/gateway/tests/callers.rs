//! Callers with tokens of their own, and the access line of their requests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use support::stub::{Stub, reply};
use support::{Captured, Gateway, MARKER, Sims, chat, header, post, secret, text};
use tower_key_rotation_gateway::config::{Format, Loader};

/// The token of a caller.
fn token(name: &str) -> String {
    format!("token-{MARKER}-{name}")
}

fn table(name: &str, more: &str) -> String {
    format!("[[caller]]\nname = \"{name}\"\ntoken = \"{}\"\n{more}\n", token(name))
}

async fn start(sims: &Sims, callers: &[(&str, &str)]) -> Gateway {
    let tables: String = callers.iter().map(|(name, more)| table(name, more)).collect();
    let operator = "[status]\noperator_token = \"operator-token\"\n";
    Gateway::start(sims, &format!("{tables}{operator}")).await
}

fn by(name: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("authorization", format!("Bearer {}", token(name)).parse().unwrap());
    request
}

async fn error(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    (status, body["error"]["code"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

fn ask(body: &Value) -> Request<Body> {
    post("/v1/chat/completions", Body::from(body.to_string()))
}

fn model(name: &str) -> Request<Body> {
    ask(&json!({"model": name, "messages": [{"role": "user", "content": "hi"}]}))
}

async fn usage(gateway: &Gateway) -> Value {
    document(gateway, "/api/usage").await
}

async fn document(gateway: &Gateway, path: &str) -> Value {
    let request = Request::get(path).header("authorization", "Bearer operator-token");
    let response = gateway.send(request.body(Body::empty()).unwrap()).await;
    serde_json::from_str(&text(response).await).unwrap()
}

// === who may call ===

#[tokio::test]
async fn each_token_works_in_every_place_of_a_key() {
    let sims = Sims::new();
    let gateway = start(&sims, &[("search", ""), ("chat", "")]).await;
    for name in ["search", "chat"] {
        let response = gateway.send(by(name, chat(""))).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        for header in ["x-api-key", "x-goog-api-key", "api-key"] {
            let mut request = chat("");
            request.headers_mut().insert(header, token(name).parse().unwrap());
            assert_eq!(gateway.send(request).await.status(), StatusCode::OK, "{name} {header}");
        }
        let response = gateway.send(chat(&format!("?key={}", token(name)))).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
    }
    let mut wrong = chat("");
    wrong.headers_mut().insert("authorization", format!("Bearer {}x", token("chat")).parse().unwrap());
    for request in [chat(""), wrong] {
        assert_eq!(error(gateway.send(request).await).await, (401, "invalid_api_key".into()));
    }
}

#[tokio::test]
async fn a_caller_reads_no_status() {
    let gateway = start(&Sims::new(), &[("search", "")]).await;
    for path in ["/status", "/api/key-status", "/api/usage", "/api/history", "/metrics"] {
        let response = gateway.send(by("search", Request::get(path).body(Body::empty()).unwrap())).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let gateway =
        start(&Sims::new(), &[("old", "expires = \"2020-01-01\""), ("new", "expires = \"2999-01-01\"")])
            .await;
    assert_eq!(error(gateway.send(by("old", chat(""))).await).await, (401, "token_expired".into()));
    assert_eq!(gateway.send(by("new", chat(""))).await.status(), StatusCode::OK);
}

// === what they may ask for ===

#[tokio::test]
async fn a_caller_may_name_its_models_only() {
    let sims = Sims::new();
    let gateway = start(&sims, &[("search", "models = [\"gpt-4o*\", \"claude-*\"]")]).await;
    for allowed in ["gpt-4o", "gpt-4o-mini", "claude-x"] {
        assert_eq!(gateway.send(by("search", model(allowed))).await.status(), StatusCode::OK, "{allowed}");
    }
    let calls = sims.openai.calls();
    let twice = r#"{"model":"gpt-5","model":"gpt-4o","messages":[]}"#;
    let escaped = r#"{"mod\u0065l":"gpt-5","messages":[]}"#;
    let several = json!({"model": "gpt-4o", "models": ["gpt-5"], "messages": []}).to_string();
    let long = json!({"pad": "x".repeat(400_000), "model": "gpt-5", "messages": []}).to_string();
    for body in
        [model("gpt-5").into_body(), Body::from(twice), Body::from(escaped), several.into(), long.into()]
    {
        let request = by("search", post("/v1/chat/completions", body));
        assert_eq!(error(gateway.send(request).await).await, (403, "model_not_allowed".into()));
    }
    for unreadable in ["{\"model\":", r#"{"model":"gpt-5\n"}"#, r#"{"model":5}"#] {
        let request = by("search", post("/v1/chat/completions", Body::from(unreadable)));
        assert_eq!(
            error(gateway.send(request).await).await,
            (415, "unreadable_model".into()),
            "{unreadable}"
        );
    }
    let plain = || Body::from(r#"{"model":"gpt-4o"}"#);
    for path in [
        "/openai/v1/engines/gpt-5/completions",
        "/v1/engines/gpt-5/completions",
        "/openai/Deployments/gpt-5/chat/completions",
        "/gemini/v1beta/endpoints/1:predict",
    ] {
        let request = by("search", post(path, plain()));
        assert_eq!(gateway.send(request).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    let mut packed = by("search", post("/v1/chat/completions", Body::from("\u{1f}")));
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(gateway.send(packed).await.status().as_u16(), 415);
    for (path, status) in [
        ("models/gemini-2.5-pro:generateContent", 403),
        ("models/gemini-2.5-pro%3AgenerateContent", 403),
        ("tunedModels/mine:generateContent", 403),
        ("models%2Fgemini-2.5-pro:generateContent", 415),
        ("%6dodels/gemini-2.5-pro:generateContent", 415),
    ] {
        let native = post(&format!("/gemini/v1beta/{path}"), Body::from(r#"{"contents":[]}"#));
        assert_eq!(gateway.send(by("search", native)).await.status().as_u16(), status, "{path}");
    }
    assert_eq!(sims.openai.calls(), calls, "no key was used");
}

/// The path of a native API may lead to several providers of the chain.
#[tokio::test]
async fn a_model_in_a_path_of_the_chain_is_read_too() {
    let stub = Stub::with(|_| reply(200, &json!({"candidates": []}))).await;
    let provider = |name: &str| {
        let (at, key) = (stub.address, secret(name));
        format!(
            "[[provider]]\nname = \"{name}\"\ndialect = \"gemini\"\nbase_url = \"http://{at}/v1beta/openai\"\n[[provider.key]]\nsecret = \"{key}\"\n"
        )
    };
    let file = [table("search", "models = [\"gpt-4o*\"]"), provider("one"), provider("two")].concat();
    let gateway = Gateway::at(&file).await;
    let path = "/v1beta/models/gemini-2.5-pro:generateContent";
    let native = by("search", post(path, Body::from(r#"{"contents":[]}"#)));
    assert_eq!(gateway.send(native).await.status(), StatusCode::FORBIDDEN);
    assert!(stub.calls().is_empty(), "no key was used");
}

#[tokio::test]
async fn a_caller_may_use_its_endpoints_only() {
    let sims = Sims::new();
    let gateway = start(&sims, &[("search", "endpoints = [\"/v1/chat/*\", \"/anthropic/*\"]")]).await;
    assert_eq!(gateway.send(by("search", chat(""))).await.status(), StatusCode::OK);
    for path in [
        "/v1/embeddings",
        "/v1/chat/../embeddings",
        "/v1/chat/%2e%2e/embeddings",
        "/v1/chat/..%2fembeddings",
        "/gemini/v1beta/models",
    ] {
        let response = gateway.send(by("search", post(path, Body::from("{}")))).await;
        assert!(
            [StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&response.status()),
            "{path}: {}",
            response.status()
        );
    }
}

// === how much ===

#[tokio::test]
async fn a_limit_of_a_caller_blames_no_key() {
    let sims = Sims::new();
    let gateway = start(&sims, &[("small", "requests_per_minute = 2"), ("large", "")]).await;
    for _ in 0..2 {
        assert_eq!(gateway.send(by("small", chat(""))).await.status(), StatusCode::OK);
    }
    let calls = sims.openai.calls();
    let refused = gateway.send(by("small", chat(""))).await;
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(error(refused).await, (429, "caller_limit".into()));
    assert_eq!(sims.openai.calls(), calls);
    assert_eq!(gateway.send(by("large", chat(""))).await.status(), StatusCode::OK);
    let usage = usage(&gateway).await;
    assert_eq!(
        (&usage["callers"][0]["caller"], &usage["callers"][0]["day"]["requests"]),
        (&json!("small"), &json!(2))
    );
    assert_eq!(
        (&usage["callers"][0]["hour"]["refused"], &usage["callers"][1]["hour"]["refused"]),
        (&json!(1), &json!(0))
    );
    let keys =
        document(&gateway, "/api/key-status").await["providers"][0]["keys"].as_array().unwrap().clone();
    assert!(keys.iter().all(|key| key["state"] == "available" && key["faults"] == 0), "{keys:?}");
}

#[tokio::test]
async fn tokens_count_at_the_end_of_a_response() {
    let gateway = start(&Sims::new(), &[("small", "tokens_per_day = 1")]).await;
    let response = gateway.send(by("small", chat(""))).await;
    assert_eq!(response.status(), StatusCode::OK);
    text(response).await;
    assert_eq!(error(gateway.send(by("small", chat(""))).await).await, (429, "caller_limit".into()));
    let usage = usage(&gateway).await;
    assert!(usage["callers"][0]["minute"]["output_tokens"].as_u64() > Some(0), "{usage:#}");
}

// === the access line ===

/// Chat streams of OpenAI have no usage unless the caller asks for it, and a caller that leaves never gets it.
#[tokio::test]
async fn tokens_that_are_not_reported_count_too() {
    const EVENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let events = |end: &str| {
        let mut response = Response::new(Body::from([EVENT.repeat(3).as_str(), end].concat()));
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        response
    };
    let stub = Stub::with(move |call| match call.path.as_str() {
        "/v1/chat/completions" => events("data: [DONE]\n\n"),
        "/v1/responses" => events(""),
        _ => reply(200, &json!({"choices": [{"text": "hi"}]})),
    })
    .await;
    let file = format!(
        "{}[[provider]]\nname = \"openai\"\nbase_url = \"http://{}/v1\"\n[[provider.key]]\nid = \"a\"\nsecret = \"{}\"\n",
        ["chat/completions", "responses", "completions"].map(|it| table(it, "tokens_per_day = 1")).concat(),
        stub.address,
        secret("a")
    );
    let gateway = Gateway::at(&file).await;
    for name in ["chat/completions", "responses", "completions"] {
        let asked =
            || by(name, post(&format!("/openai/v1/{name}"), Body::from(r#"{"model":"m","stream":true}"#)));
        let response = gateway.send(asked()).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        let _ended_or_cut = http_body_util::BodyExt::collect(response).await;
        assert_eq!(error(gateway.send(asked()).await).await, (429, "caller_limit".into()), "{name}");
    }
}

#[tokio::test]
async fn a_request_has_one_line_at_its_end() {
    let captured = Captured::default();
    let _log = captured.install();
    let sims = Sims::new();
    let gateway = start(&sims, &[("search", "")]).await;
    text(gateway.send(by("search", chat(&format!("?key={}", token("search"))))).await).await;
    text(gateway.send(chat("")).await).await;
    let log = captured.text();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("gateway::access")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for said in [
        "method=POST path=\"/v1/chat/completions\" status=200 caller=\"search\" provider=\"openai\" key=\"a\"",
        "gen_ai.request.model=\"gpt-4o\" attempts=1 gen_ai.usage.input_tokens=",
        "duration_ms=",
    ] {
        assert!(lines[0].contains(said), "{said}: {}", lines[0]);
    }
    assert!(lines[1].contains("status=401"), "{}", lines[1]);
    assert!(!log.contains(MARKER), "{log}");
}

#[tokio::test]
async fn a_line_names_the_model_that_was_asked_for() {
    let captured = Captured::default();
    let _log = captured.install();
    let stub = Stub::with(|call| match &*call.body {
        body if body.windows(7).any(|part| part == b"refused") => reply(400, &json!({"error": {}})),
        _ => reply(200, &json!({"choices": []})),
    })
    .await;
    let (at, key) = (stub.address, secret("a"));
    let gateway = Gateway::at(&format!(
        "[[provider]]\nname = \"one\"\ndialect = \"compatible\"\nbase_url = \"http://{at}/v1\"\n[provider.models]\nasked = \"renamed\"\n[[provider.key]]\nsecret = \"{key}\"\n"
    ))
    .await;
    for name in ["asked", "refused", "other"] {
        text(gateway.send(model(name)).await).await;
    }
    assert!(String::from_utf8_lossy(&stub.calls()[0].body).contains("renamed"));
    let log = captured.text();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("gateway::access")).collect();
    for (line, name) in lines.iter().zip(["asked", "refused", "other"]) {
        assert!(line.contains(&format!("gen_ai.request.model=\"{name}\"")), "{line}");
    }
    assert_eq!(lines.len(), 3, "{log}");
}

// === the file ===

#[test]
fn the_file_is_checked() {
    let text = |callers: &str| {
        format!(
            "{callers}\n[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\nkeys_env = \"OPENAI\"\n"
        )
    };
    let load = |callers: &str| {
        Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(&text(callers), Format::Toml)
    };
    let config = load(&table("search", "")).unwrap();
    assert!(config.requires_token() && !format!("{config:?}").contains(MARKER));
    let twin = table("a", "").replacen("\"a\"", "\"b\"", 1);
    let operator = format!("{}[status]\noperator_token = \"{}\"\n", table("a", ""), token("a"));
    for (callers, problem) in [
        (table("", ""), "caller[0].name: the name of a caller is empty"),
        (table("a", "") + &table("a", ""), "caller[1].name: two callers are named a"),
        (table("a", "") + &twin, "caller[1].token: this token is used twice"),
        (
            format!("token = \"{}\"\n{}", token("a"), table("a", "")),
            "caller[0].token: this token is used twice",
        ),
        (operator, "caller[0].token: this token is used twice"),
        (table("a", "models = []"), "caller[0].models: an empty list permits nothing"),
        (table("a", "endpoints = []"), "caller[0].endpoints: an empty list permits nothing"),
        (table("a", "expires = \"soon\""), "caller[0].expires: not a time"),
        (table("a", "endpoints = [\"v1\"]"), "caller[0].endpoints[0]: not a path"),
        ("[[caller]]\nname = \"a\"\ntoken = \"short\"\n".into(), "caller[0].token: "),
    ] {
        let error = load(&callers).unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains(MARKER), "{error}");
    }
}
