//! What operators rely on, over sockets: checks of keys on demand and on a schedule, the share of a caller, a reload of
//! callers and alerts, and alerts that delay no request.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use support::running::Running;
use support::sink::{Behaviour, Sink};
use support::{Gateway, MARKER, Sims, chat, configured, header, post, text};
use tokio::time::Instant;
use tower_key_rotation_gateway::config::{Format, Loader};
use tower_key_rotation_sim::{Script, SimFault};

const ON: &str =
    "[status]\noperator_token = \"operator-token\"\n[checks]\nconfirm_after = \"1ms\"\ntimeout = \"5s\"";

fn check(path: &str, token: &str, confirm: &str) -> Request<Body> {
    let request = Request::post(path).header("authorization", format!("Bearer {token}"));
    request.header("x-confirm", confirm).body(Body::empty()).unwrap()
}

async fn send(gateway: &Gateway, request: Request<Body>) -> (StatusCode, Value) {
    let response = gateway.send(request).await;
    let (status, text) = (response.status(), text(response).await);
    assert!(!text.contains(MARKER), "{text}");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn checked(gateway: &Gateway, path: &str) -> Value {
    let (status, document) = send(gateway, check(path, "operator-token", "check")).await;
    assert_eq!(status, StatusCode::OK, "{document}");
    document
}

/// Returns the state of the first key of a provider.
async fn key(gateway: &Gateway, provider: &str) -> Value {
    let get = Request::get(format!("/api/key-status?provider={provider}"));
    let get = get.header("authorization", "Bearer operator-token").body(Body::empty()).unwrap();
    send(gateway, get).await.1["providers"][0]["keys"][0].clone()
}

#[tokio::test]
async fn an_operator_checks_a_key_of_each_dialect() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, ON).await;
    for (provider, sim) in ["openai", "anthropic", "gemini"].into_iter().zip(sims.all()) {
        let path = format!("/api/keys/a/check?provider={provider}");
        let document = checked(&gateway, &path).await;
        assert_eq!(
            (&document["provider"], &document["check"]["result"]),
            (&json!(provider), &json!("valid"))
        );
        assert_eq!(document["key"]["last_check"], document["check"]);
        assert_eq!(key(&gateway, provider).await["last_check"], document["check"]);
        sim.key("a").fail(1, SimFault::status(401));
        assert_eq!(checked(&gateway, &path).await["check"]["result"], "valid");
        sim.key("a").revoke();
        let document = checked(&gateway, &path).await;
        assert_eq!(
            (&document["check"]["result"], &document["key"]["state"]),
            (&json!("invalid"), &json!("invalid"))
        );
        sim.key("a").restore();
        let document = checked(&gateway, &path).await;
        assert_eq!(
            (&document["check"]["result"], &document["key"]["state"]),
            (&json!("valid"), &json!("available"))
        );
        assert_eq!(document["key"]["calls"], 0);
    }
}

#[tokio::test]
async fn a_check_needs_the_operator_a_confirmation_and_one_key() {
    let sims = Sims::new();
    let gateway = Gateway::start(&sims, ON).await;
    let path = "/api/keys/a/check?provider=openai";
    let mut get = check(path, "operator-token", "check");
    *get.method_mut() = http::Method::GET;
    for (request, status, code) in [
        (check(path, "wrong", "check"), StatusCode::UNAUTHORIZED, "invalid_api_key"),
        (check(path, "operator-token", "reset"), StatusCode::BAD_REQUEST, "unconfirmed"),
        (check("/api/keys/a/check", "operator-token", "check"), StatusCode::BAD_REQUEST, "ambiguous_key"),
        (check("/api/keys/c/check", "operator-token", "check"), StatusCode::NOT_FOUND, "unknown_key"),
        (
            check("/api/keys/a/check?provider=x", "operator-token", "check"),
            StatusCode::NOT_FOUND,
            "unknown_provider",
        ),
        (get, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
    ] {
        let (found, document) = send(&gateway, request).await;
        assert_eq!((found, &document["error"]["code"]), (status, &json!(code)), "{document}");
    }
    let off = Gateway::start(&sims, "").await;
    let (status, _) = send(&off, check(path, "operator-token", "check")).await;
    assert_eq!((status, sims.openai.calls()), (StatusCode::FORBIDDEN, 0));
}

#[tokio::test]
async fn a_schedule_marks_a_dead_key_without_a_request() {
    let sims = Sims::new();
    sims.openai.key("a").revoke();
    let (config, _servers) = configured(&sims, "[checks]\nevery = \"1s\"\nconfirm_after = \"1ms\"").await;
    let gateway = Gateway::of(config).await;
    let waiting = async {
        while key(&gateway, "openai").await["state"] != "invalid" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    let check = key(&gateway, "openai").await["last_check"].clone();
    assert_eq!((&check["result"], &check["status"]), (&json!("invalid"), &json!(401)));
}

#[test]
fn the_settings_are_checked() {
    let parse = |more: &str, provider: &str| {
        let text = format!(
            "{more}\n[[provider]]\nname = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkeys_env = \"OPENAI\"\n{provider}"
        );
        Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(&text, Format::Toml)
    };
    let config = parse("[checks]\nevery = \"10m\"", "check = \"/account\"").unwrap();
    assert_eq!(config.checks().every(), Some(Duration::from_secs(600)));
    assert_eq!(config.providers()[0].check_path(), Some("/account"));
    for (more, provider) in
        [("[checks]\nevery = \"0s\"", ""), ("[checks]\neach = \"1s\"", ""), ("", "check = \"account\"")]
    {
        parse(more, provider).unwrap_err();
    }
}

// === the share of a caller ===

const STREAM: &str = r#"{"stream":true,"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

fn caller(name: &str, more: &str) -> String {
    format!("[[caller]]\nname = \"{name}\"\ntoken = \"token-of-{name}\"\n{more}\n")
}

fn by(name: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("authorization", format!("Bearer token-of-{name}").parse().unwrap());
    request
}

fn stream() -> Request<Body> {
    post("/v1/chat/completions", Body::from(STREAM))
}

/// Returns the callers of `/api/usage`.
async fn callers(gateway: &Gateway) -> Value {
    let request = Request::get("/api/usage").header("authorization", "Bearer operator-token");
    send(gateway, request.body(Body::empty()).unwrap()).await.1["callers"].clone()
}

#[tokio::test]
async fn a_caller_takes_no_more_than_its_share_of_the_places() {
    let sims = Sims::new();
    sims.all().iter().for_each(|sim| sim.script(Script::always(SimFault::Stall { after: 1 })));
    let config =
        format!("{ON}\n[server]\nmax_requests = 5\n{}{}", caller("big", "share = 0.5"), caller("small", ""));
    let gateway = Gateway::start(&sims, &config).await;
    let first = gateway.send(by("big", stream())).await;
    let second = gateway.send(by("big", stream())).await;
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));

    let refused = gateway.send(by("big", stream())).await;
    assert_eq!((refused.status(), header(&refused, "retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(error(refused).await["error"]["code"], "caller_share");
    let messages = post("/v1/messages", Body::from(r#"{"model":"claude","max_tokens":9,"messages":[]}"#));
    let refused = error(gateway.send(by("big", messages)).await).await;
    assert_eq!((&refused["type"], &refused["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
    let google = post("/v1beta/models/gemini-pro:generateContent", Body::from(r#"{"contents":[]}"#));
    let refused = error(gateway.send(by("big", google)).await).await;
    assert_eq!(refused["error"]["status"], "RESOURCE_EXHAUSTED", "{refused}");

    let other = gateway.send(by("small", stream())).await;
    assert_eq!(other.status(), StatusCode::OK, "the rest is left to others");
    let usage = callers(&gateway).await;
    assert_eq!((&usage[0]["in_flight"], &usage[0]["hour"]["refused"]), (&json!(2), &json!(3)), "{usage}");
    assert_eq!(key(&gateway, "openai").await["faults"], 0);

    drop(first);
    let served = async {
        while gateway.send(by("big", stream())).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), served).await.expect("its place is free again");
}

async fn error(response: Response<Incoming>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn the_history_names_the_caller_of_a_rotation() {
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
    let gateway =
        Gateway::start(&sims, &format!("{ON}\n{}{}", caller("search", ""), caller("chat", ""))).await;
    assert_eq!(gateway.send(by("search", chat(""))).await.status(), StatusCode::OK);
    let history = async |caller: &str| {
        let request = Request::get(format!("/api/history?event=rotated&caller={caller}"));
        let request = request.header("authorization", "Bearer operator-token").body(Body::empty()).unwrap();
        send(&gateway, request).await.1["entries"].clone()
    };
    let waiting = async {
        while history("search").await[0]["caller"] != "search" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the rotation is in the history");
    assert_eq!(history("chat").await, json!([]));
}

// === reload ===

#[tokio::test]
async fn callers_follow_the_file_and_keep_their_counts() {
    let running = Running::start("callers", &["a"]).await;
    let serve = async |name: &str| {
        let request = by(name, chat(""));
        running.send(request).await.status().as_u16()
    };
    running.keys(&caller("one", "requests_per_minute = 3"), &["a"]).unwrap();
    assert_eq!([serve("one").await, serve("one").await, serve("two").await], [200, 200, 401]);
    running.keys(&(caller("one", "requests_per_minute = 2") + &caller("two", "")), &["a"]).unwrap();
    assert_eq!([serve("one").await, serve("two").await], [429, 200], "a lower limit counts what was before");
    running.keys(&(caller("two", "") + &caller("one", "requests_per_minute = 3")), &["a"]).unwrap();
    assert_eq!([serve("one").await, serve("one").await], [200, 429]);
    running.keys(&caller("two", ""), &["a"]).unwrap();
    assert_eq!([serve("one").await, serve("two").await], [401, 200]);
}

#[tokio::test]
async fn alerts_follow_the_file() {
    let (mut one, mut two) = (Sink::start([]).await, Sink::start([]).await);
    let running = Running::start("alerts", &["a", "b", "c"]).await;
    let alert = |sink: &Sink, more: &str| {
        format!("[[alert]]\nname = \"hook\"\nurl = \"{}\"\ngroup_wait = \"20ms\"\n{more}\n", sink.url)
    };
    let revoke = async |name: &str| {
        running.sim.key(name).revoke();
        let path = format!("/api/keys/{name}/check");
        let response = running.send(check(&path, "operator-token", "check")).await;
        assert_eq!(response.status(), StatusCode::OK);
    };
    let keys = &["a", "b", "c"][..];
    running.keys(&format!("{ON}\n{}", alert(&one, "")), keys).unwrap();
    revoke("a").await;
    assert_eq!(one.alerts().await, ["firing key_invalid/openai/a"]);

    running.keys(&format!("{ON}\n{}{}", alert(&one, "on = [\"breaker\"]"), alert(&two, "")), keys).unwrap();
    revoke("b").await;
    assert_eq!(two.alerts().await, ["firing key_invalid/openai/b"]);
    // The same webhooks keep their open incidents.
    running.keys(&format!("{ON}\n{}{}", alert(&one, "on = [\"breaker\"]"), alert(&two, "")), keys).unwrap();
    running.sim.key("b").restore();
    let response = running.send(check("/api/keys/b/check", "operator-token", "check")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(two.alerts().await, ["resolved key_invalid/openai/b"]);

    running.keys(&format!("{ON}\n{}", alert(&one, "")), keys).unwrap();
    revoke("c").await;
    assert_eq!(one.alerts().await, ["firing key_invalid/openai/c"]);
    assert!(!one.has_more() && !two.has_more());
}

// === alerts and the way of requests ===

/// Requests of each gateway whose times are compared.
const REQUESTS: usize = 300;

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_request() {
    let sink = Sink::start([Behaviour::Hang; 10]).await;
    let alert = format!(
        "[[alert]]\nurl = \"{}\"\ngroup_wait = \"1ms\"\nrotations_per_minute = 1\n[checks]\nconfirm_after = \"1ms\"",
        sink.url
    );
    let sims = || {
        let sims = Sims::new();
        sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_millis(1))));
        sims
    };
    let (quiet, loud) = (sims(), sims());
    let without = Gateway::start(&quiet, "").await;
    let with =
        Gateway::start(&loud, &format!("{alert}\n[status]\noperator_token = \"operator-token\"")).await;
    loud.anthropic.key("a").revoke();
    checked(&with, "/api/keys/a/check?provider=anthropic").await;
    let hangs = async {
        while sink.next.lock().unwrap().len() == 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hangs).await.expect("the receiver hangs");

    // By turns, so that the load of the machine is the same for both.
    let mut times = [Vec::with_capacity(REQUESTS), Vec::with_capacity(REQUESTS)];
    for _ in 0..REQUESTS {
        for (gateway, times) in [&without, &with].into_iter().zip(&mut times) {
            let began = Instant::now();
            let response = gateway.send(chat("")).await;
            assert_eq!(response.status(), StatusCode::OK);
            text(response).await;
            times.push(Instant::now() - began);
        }
    }
    let p99 = times.map(|mut times| {
        times.sort_unstable();
        times[REQUESTS * 99 / 100]
    });
    eprintln!(
        "p99 of {REQUESTS} requests: {:?} without alerts, {:?} with a receiver that hangs",
        p99[0], p99[1]
    );
    assert!(p99[1] < p99[0] * 2 + Duration::from_millis(250), "{p99:?}");
}
