//! The status of keys: documents, live events, verbs, and the page without a browser.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use support::{Gateway, MARKER, Sims, chat, header, text};
use tokio::time::timeout;
use tower::ServiceExt;
use tower_key_rotation::event::Events;
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_gateway::history::{HistoryQuery, Recorder};
use tower_key_rotation_gateway::status;
use tower_key_rotation_sim::{Script, SimFault};

const OPERATOR: &str = "[status]\noperator_token = \"operator-token\"";

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn json_of(gateway: &Gateway, path: &str) -> Value {
    let response = gateway.send(get(path)).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    serde_json::from_str(&text(response).await).unwrap()
}

/// Reads a document until it is as expected.
async fn until(gateway: &Gateway, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let reading = async {
        loop {
            let document = json_of(gateway, path).await;
            if is_so(&document) {
                return document;
            }
        }
    };
    match timeout(Duration::from_secs(20), reading).await {
        Ok(document) => document,
        Err(_) => panic!("{path}: {:#}", json_of(gateway, path).await),
    }
}

/// A gateway whose first key is limited for a minute, after one request that names no model.
async fn after_a_limited_key(more: &str) -> (Sims, Gateway) {
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
    let gateway = Gateway::start(&sims, more).await;
    assert_eq!(gateway.send(get("/v1/models")).await.status(), StatusCode::OK);
    (sims, gateway)
}

/// A gateway whose first key is limited for a model for a minute, after one chat.
async fn after_a_rotation(more: &str) -> (Sims, Gateway) {
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
    let gateway = Gateway::start(&sims, more).await;
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    (sims, gateway)
}

fn order(token: &str, confirm: Option<&str>, order: &Value) -> Request<Body> {
    let request = Request::post("/api/keys").header("authorization", format!("Bearer {token}"));
    let request = confirm.into_iter().fold(request, |it, verb| it.header("x-confirm", verb));
    request.body(Body::from(order.to_string())).unwrap()
}

// === documents ===

#[tokio::test]
async fn a_rotation_is_in_the_history_with_its_evidence() {
    let (_sims, gateway) = after_a_rotation("").await;
    let history = until(&gateway, "/api/history", |it| it["entries"].as_array().unwrap().len() >= 2).await;
    let find =
        |event: &str| history["entries"].as_array().unwrap().iter().find(|it| it["event"] == event).unwrap();
    let (cooled, rotated) = (find("cooled_down"), find("rotated"));
    assert_eq!((&cooled["provider"], &cooled["key"]), (&json!("openai"), &json!("a")));
    assert_eq!((&cooled["reason"], &cooled["wait_ms"]), (&json!("rate_limited"), &json!(60_000)));
    assert_eq!((&rotated["model"], &rotated["scope"]), (&json!("openai-model"), &json!("account_model")));
    assert!(rotated["why"].is_string() && rotated["at"].as_u64() > Some(1_700_000_000_000), "{rotated}");
}

#[tokio::test]
async fn the_history_can_be_selected() {
    let (_sims, gateway) = after_a_rotation("").await;
    until(&gateway, "/api/history", |it| it["entries"].as_array().unwrap().len() >= 2).await;
    for (query, entries) in [
        ("event=rotated", 1),
        ("key=a&event=cooled_down", 1),
        ("key=b&event=cooled_down", 0),
        ("provider=gemini", 0),
        ("limit=1", 1),
        ("after=1000", 0),
        ("since=9999999999999", 0),
    ] {
        let found = json_of(&gateway, &format!("/api/history?{query}")).await;
        assert_eq!(found["entries"].as_array().unwrap().len(), entries, "{query}: {found:#}");
    }
}

#[tokio::test]
async fn usage_counts_attempts_tokens_and_errors() {
    let (_sims, gateway) = after_a_rotation("").await;
    let path = "/api/usage";
    let usage = until(&gateway, path, |it| {
        it["models"].as_array().unwrap().iter().any(|it| it["minute"]["output_tokens"].as_u64() > Some(0))
    })
    .await;
    let model = |key: &str| {
        let is_it = |it: &&Value| it["key"] == key && it["provider"] == "openai";
        usage["models"].as_array().unwrap().iter().find(is_it).unwrap().clone()
    };
    let (refused, served) = (model("a"), model("b"));
    for window in ["minute", "hour", "day"] {
        assert_eq!(refused[window]["errors"], json!({"rate_limited": 1}), "{window}");
        assert_eq!((&served[window]["attempts"], &served[window]["successes"]), (&json!(1), &json!(1)));
        assert!(served[window]["input_tokens"].as_u64() > Some(0), "{served:#}");
        assert!(served[window]["p95_ms"].is_u64(), "{served:#}");
    }
    assert_eq!(served["model"], "openai-model");
    let provider = &usage["providers"][0];
    assert_eq!(
        (&provider["hour"]["attempts"], &provider["history"][0]["rate_limited"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn the_time_in_each_state_is_measured() {
    let (_sims, gateway) = after_a_limited_key("").await;
    gateway.send(chat("")).await;
    let limited = |it: &Value| {
        let keys = it["keys"].as_array().unwrap().iter();
        let keys = keys.filter(|it| it["states_ms"]["hour"]["rate_limited"].as_u64() > Some(0));
        keys.map(|it| [&it["provider"], &it["key"]].map(|name| name.as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let usage = until(&gateway, "/api/usage", |it| !limited(it).is_empty()).await;
    assert_eq!(limited(&usage), [["openai", "a"]]);
}

#[tokio::test]
async fn the_status_shows_providers_breakers_and_totals() {
    let sims = Sims::new();
    for key in ["a", "b"] {
        sims.openai.key(key).script(Script::always(SimFault::overloaded()));
    }
    let gateway =
        Gateway::start(&sims, "[chain.breaker]\nconsecutive = 1\nopen = \"1m\"\nmax_open = \"1m\"").await;
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    let status = until(&gateway, "/status", |it| it["totals"]["fallbacks"] == 1).await;
    let [openai, anthropic, _] = status["providers"].as_array().unwrap().as_slice() else {
        panic!("{status:#}")
    };
    assert_eq!((&openai["breaker"]["state"], &openai["keys"]), (&json!("open"), &json!(2)));
    assert!(openai["breaker"]["until"].as_u64() > status["at"].as_u64());
    assert_eq!(
        (&anthropic["breaker"]["state"], &anthropic["states"]),
        (&json!("closed"), &json!({"available": 2}))
    );
    assert_eq!(anthropic["usage"]["hour"]["successes"], 1);
    assert_eq!((&status["status"], &status["version"]), (&json!("ok"), &json!(env!("CARGO_PKG_VERSION"))));
    assert!(status["uptime_ms"].is_u64() && status["chain"][0] == "openai");
}

#[tokio::test]
async fn key_status_can_be_read_for_one_provider() {
    let (_sims, gateway) = after_a_limited_key("").await;
    let status = json_of(&gateway, "/api/key-status?provider=openai").await;
    let providers = status["providers"].as_array().unwrap();
    assert_eq!((providers.len(), &providers[0]["usable_keys"]), (1, &json!(1)));
    let key = &providers[0]["keys"][0];
    assert_eq!((&key["id"], &key["state"], &key["calls"]), (&json!("a"), &json!("rate_limited"), &json!(1)));
    assert!(key["since"].is_u64() && key["until"].is_u64() && key["last_used"].is_u64(), "{key:#}");
    assert_eq!(gateway.send(get("/api/key-status?provider=x")).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn health_is_that_of_the_required_providers() {
    let code = async |gateway: &Gateway, path: &str| gateway.send(get(path)).await.status().as_u16();
    let limited = async |more: &str| {
        let sims = Sims::new();
        for key in ["a", "b"] {
            sims.openai.key(key).script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
        }
        let gateway = Gateway::start(&sims, more).await;
        // No other provider of the chain has files.
        assert_ne!(gateway.send(get("/v1/files")).await.status(), StatusCode::OK);
        (gateway, sims)
    };
    let (any, _sims) = limited("").await;
    assert_eq!((code(&any, "/health").await, code(&any, "/health?provider=openai").await), (200, 503));
    assert_eq!(
        (code(&any, "/health?provider=gemini").await, code(&any, "/health?provider=x").await),
        (200, 404)
    );
    assert_eq!(code(&any, "/ready").await, 200);
    let (required, _sims) = limited("[status]\nrequired = [\"openai\"]").await;
    assert_eq!(code(&required, "/health").await, 503);
    let (other, _sims) = limited("[status]\nrequired = [\"gemini\"]").await;
    assert_eq!(code(&other, "/health").await, 200);
}

#[tokio::test]
async fn no_document_has_a_secret() {
    let (_sims, gateway) = after_a_rotation(OPERATOR).await;
    until(&gateway, "/api/history", |it| it["entries"].as_array().unwrap().len() >= 2).await;
    for path in [
        "/",
        "/status",
        "/health",
        "/ready",
        "/api/key-status",
        "/api/history",
        "/api/usage",
        "/api/openapi.json",
    ] {
        let shown = text(gateway.send(get(path)).await).await;
        assert!(!shown.contains(MARKER) && !shown.contains("operator-token"), "{path}: {shown}");
    }
}

// === the description of the paths ===

#[tokio::test]
async fn every_described_path_is_served() {
    let (_sims, gateway) = after_a_rotation("").await;
    let described = json_of(&gateway, "/api/openapi.json").await;
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() >= 10);
    for (path, item) in paths {
        let method = if item.get("post").is_some() { "POST" } else { "GET" };
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = gateway.send(request).await;
        let code = response.status().as_u16().to_string();
        let responses = &item[method.to_lowercase()]["responses"];
        assert!(responses.get(&code).is_some(), "{method} {path}: {code}");
        let media_type = header(&response, "content-type").split(';').next().unwrap().to_owned();
        assert!(responses[&code]["content"].get(&media_type).is_some(), "{path}: {media_type}");
    }
}

#[tokio::test]
async fn every_member_of_a_document_is_described() {
    let (_sims, gateway) = after_a_rotation("").await;
    let schemas = json_of(&gateway, "/api/openapi.json").await["components"]["schemas"].clone();
    let usage = until(&gateway, "/api/usage", |it| it["models"].as_array().unwrap().len() == 2).await;
    let status = json_of(&gateway, "/status").await;
    let keys = json_of(&gateway, "/api/key-status").await;
    for (name, value) in [
        ("Status", &status),
        ("Provider", &status["providers"][0]),
        ("Breaker", &status["providers"][0]["breaker"]),
        ("Totals", &status["totals"]),
        ("KeyStatus", &keys),
        ("Key", &keys["providers"][0]["keys"][0]),
        ("Usage", &usage),
        ("Counts", &usage["models"][0]["day"]),
        ("History", &json_of(&gateway, "/api/history").await),
    ] {
        let has: Vec<_> = value.as_object().unwrap().keys().collect();
        let mut described: Vec<_> = schemas[name]["properties"].as_object().unwrap().keys().collect();
        described.sort();
        let mut sorted = has.clone();
        sorted.sort();
        assert_eq!(sorted, described, "{name}");
    }
}

// === live ===

/// Reads a live stream until a part of it contains a text. Returns all that was read.
async fn read_until(body: Incoming, wanted: &str) -> String {
    let mut read = String::new();
    let mut stream = body.into_data_stream();
    let reading = async {
        while !read.contains(wanted) {
            read += &String::from_utf8_lossy(&stream.next().await.expect("the stream goes on").unwrap());
        }
    };
    timeout(Duration::from_secs(10), reading).await.expect("the event arrives");
    read
}

#[tokio::test]
async fn the_history_arrives_as_it_happens() {
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
    let gateway = Gateway::start(&sims, "").await;
    let live = gateway.send(get("/api/events")).await;
    assert_eq!(header(&live, "content-type"), "text/event-stream");
    gateway.send(chat("")).await;
    let read = read_until(live.into_body(), "event: totals").await;
    assert!(read.contains("event: history\nid: ") && read.contains("\"event\":\"cooled_down\""), "{read}");
    let after = gateway.send(get("/api/events?after=0")).await;
    let read = read_until(after.into_body(), "\"event\":\"rotated\"").await;
    assert!(read.starts_with("event: history\nid: 1\n"), "{read}");
}

#[tokio::test]
async fn a_live_reader_does_not_delay_the_stop() {
    let gateway = Gateway::start(&Sims::new(), "").await;
    let live = gateway.send(get("/api/events")).await;
    let ended = tokio::spawn(live.into_body().collect());
    timeout(Duration::from_secs(5), gateway.stop()).await.expect("the gateway stops at once").unwrap();
    ended.await.unwrap().unwrap();
}

// === verbs ===

#[tokio::test]
async fn verbs_change_keys() {
    let (_sims, gateway) = after_a_limited_key(OPERATOR).await;
    let run = async |verb: &str, more: Value| {
        let mut body = json!({"verb": verb, "provider": "openai", "key": "a"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let response = gateway.send(order("operator-token", Some(verb), &body)).await;
        assert_eq!(response.status(), StatusCode::OK, "{verb}");
        let document: Value = serde_json::from_str(&text(response).await).unwrap();
        document["key"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(run("disable", json!({})).await, "disabled");
    assert_eq!(run("enable", json!({})).await, "rate_limited");
    assert_eq!(run("reset", json!({})).await, "available");
    assert_eq!(run("drain", json!({})).await, "disabled");
    assert_eq!(run("enable", json!({})).await, "available");
    assert_eq!(run("cool_down", json!({"seconds": 60})).await, "rate_limited");
    for event in ["enabled", "drained", "disabled", "reset"] {
        until(&gateway, &format!("/api/history?event={event}"), |it| it["entries"][0]["key"] == "a").await;
    }
}

#[tokio::test]
async fn verbs_are_refused_without_token_or_confirmation() {
    let disable = json!({"verb": "disable", "provider": "openai", "key": "a"});
    let (_sims, off) = after_a_limited_key("").await;
    let (_sims, gateway) = after_a_limited_key(OPERATOR).await;
    let code = async |gateway: &Gateway, request| gateway.send(request).await.status().as_u16();
    assert_eq!(code(&off, order("any", Some("disable"), &disable)).await, 403);
    assert_eq!(code(&gateway, order("wrong", Some("disable"), &disable)).await, 401);
    assert_eq!(code(&gateway, order("operator-token", None, &disable)).await, 400);
    assert_eq!(code(&gateway, order("operator-token", Some("enable"), &disable)).await, 400);
    for (body, expected) in [
        (json!({"verb": "delete", "provider": "openai", "key": "a"}), 400),
        (json!({"verb": "disable", "provider": "x", "key": "a"}), 404),
        (json!({"verb": "disable", "provider": "openai", "key": "x"}), 404),
        (json!({"verb": "disable", "provider": "openai", "key": "a", "other": 1}), 400),
        (json!([1]), 400),
    ] {
        assert_eq!(code(&gateway, order("operator-token", Some("disable"), &body)).await, expected, "{body}");
    }
    assert_eq!(code(&gateway, get("/api/keys")).await, 405);
    let keys = json_of(&gateway, "/api/key-status").await;
    assert_eq!(keys["providers"][0]["keys"][0]["state"], "rate_limited");
}

#[tokio::test]
async fn the_operator_token_reads_the_status_and_calls_no_model() {
    let (sims, more) = (Sims::new(), format!("token = \"callers-token\"\n{OPERATOR}"));
    let gateway = Gateway::start(&sims, &more).await;
    let with = |mut request: Request<Body>, token: &str| {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    };
    let code = async |request| gateway.send(request).await.status().as_u16();
    assert_eq!(code(with(get("/status"), "operator-token")).await, 200);
    assert_eq!(code(with(get("/status"), "callers-token")).await, 200);
    assert_eq!(code(get("/status")).await, 401);
    assert_eq!(code(with(chat(""), "operator-token")).await, 401);
    let disable = json!({"verb": "disable", "provider": "openai", "key": "a"});
    assert_eq!(code(order("callers-token", Some("disable"), &disable)).await, 401);
    assert_eq!(code(order("operator-token", Some("disable"), &disable)).await, 200);
    for open in ["/", "/health", "/ready"] {
        assert_eq!(code(get(open)).await, 200, "{open}");
    }
}

// === the page, and a mount ===

#[tokio::test]
async fn the_page_is_small_and_loads_nothing_foreign() {
    let (_sims, gateway) = after_a_rotation("").await;
    let response = gateway.send(get("/")).await;
    let policy = header(&response, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = text(response).await.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http://", "https://", "//cdn", "innerHTML", "eval(", "onclick=", "style=\""] {
        assert!(!page.contains(foreign), "the page has {foreign}");
    }
    let bytes = page.len();
    println!("{bytes} bytes");
    assert!(bytes < 60_000, "{bytes}");
}

#[tokio::test]
async fn the_status_can_be_mounted_in_any_app() {
    let events = Events::new();
    let key = ApiKey::new("sk-one").unwrap().id("one");
    let pool = KeyPool::builder(Provider::openai()).key(key).events(&events).build().unwrap();
    let app = axum::Router::new().nest("/keys", status::router([pool.clone()], &events));
    let send = async |path: &str| app.clone().oneshot(get(path)).await.unwrap();
    for path in ["/keys", "/keys/status", "/keys/api/usage"] {
        assert_eq!(send(path).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(send("/keys/health").await.status(), StatusCode::OK);
    pool.disable(&"one".into()).unwrap();
    assert_eq!(send("/keys/health").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send("/keys/x").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready() {
    let events = Events::new();
    let key = ApiKey::new("sk-one").unwrap().id("one");
    let pool = KeyPool::builder(Provider::openai()).key(key).events(&events).build().unwrap();
    let status = status::Status::new([pool], &events);
    let ready = async || status.clone().router().oneshot(get("/ready")).await.unwrap().status();
    assert_eq!(ready().await, StatusCode::OK);
    status.stop();
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_bounded() {
    let events = Events::new();
    let key = ApiKey::new("sk-one").unwrap().id("one");
    let pool = KeyPool::builder(Provider::openai()).key(key).events(&events).build().unwrap();
    let recorder = Recorder::new([pool.clone()], &events);
    recorder.start();
    tokio::task::yield_now().await;
    for round in 0..3_000 {
        pool.disable(&"one".into()).unwrap();
        if round % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let history = recorder.history(&HistoryQuery::default());
    assert_eq!(history.len(), Recorder::CHANGES);
    assert_eq!((history[0]["id"].as_u64(), recorder.missed()), (Some(3_000), 0));
}
