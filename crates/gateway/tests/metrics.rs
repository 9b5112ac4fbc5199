//! Every metric changes when that happens for which it is there: requests over sockets, and the text of `/metrics`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/sockets.rs"]
#[allow(dead_code, reason = "this test uses a part of it")]
mod sockets;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use sockets::{Sockets, ask, connect};
use support::stub::{Stub, StubCall, by_word, reply};
use support::{Gateway, config, post, text};
use tower_key_rotation_gateway::{Options, Stores};

/// Metrics with tests elsewhere: in the library, and with the program.
const ELSEWHERE: [&str; 2] =
    ["tower_key_rotation_events_missed_total", "tower_key_rotation_gateway_log_lines_lost_total"];

/// A gateway, and its metrics.
struct Stage {
    gateway: Gateway,
    recorded: PrometheusHandle,
    /// Each series with the latest value that was not zero.
    seen: BTreeMap<String, f64>,
}

// === impl Stage ===

impl Stage {
    /// Reads `/metrics`.
    async fn scrape(&mut self) -> String {
        let request = Request::get("/metrics").header("authorization", "Bearer gateway-token");
        let response = self.gateway.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let page = text(response).await;
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let value = value.parse().unwrap();
            if value != 0.0 {
                self.seen.insert(series.to_owned(), value);
            }
        }
        page
    }

    /// Reads `/metrics` until it has a line that begins so.
    async fn until(&mut self, line: &str) {
        let is_there = async {
            loop {
                let page = self.scrape().await;
                if page.lines().any(|it| it.starts_with(&format!("tower_key_rotation_{line}"))) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), is_there).await.is_err() {
            panic!("no line {line}:\n{}", self.recorded.render());
        }
    }

    /// Sends a chat with this model to a path, and returns the status and the body, which may break off.
    async fn chat(&self, path: &str, model: &str) -> (StatusCode, Option<String>) {
        use http_body_util::BodyExt;
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string();
        let mut request = post(path, Body::from(body));
        request.headers_mut().insert("authorization", "Bearer token-of-search".parse().unwrap());
        let response = self.gateway.send(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.ok();
        (status, body.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap()))
    }

    async fn operate(&self, request: Request<Body>) {
        let (mut head, body) = request.into_parts();
        head.headers.insert("authorization", "Bearer operator-token".parse().unwrap());
        let response = self.gateway.send(Request::from_parts(head, body)).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", text(response).await);
    }
}

/// Like [`by_word`], with tokens. `down` fails, and so does any key for the model `nothing`. The stream for the model
/// `breaks` ends too early. `once` is limited for a moment, once.
fn answers(call: &StubCall, is_first: bool) -> Response<Body> {
    let asks_for = |model: &str| String::from_utf8_lossy(&call.body).contains(&format!("\"{model}\""));
    let word = call.key.split('-').next().unwrap_or_default();
    if word == "down" || asks_for("nothing") {
        return reply(503, &json!({"error": {"message": "overloaded", "type": "server_error"}}));
    }
    if word == "once" && is_first {
        return reply(
            429,
            &json!({"error": {"message": "Please try again in 10ms.", "code": "rate_limit_exceeded"}}),
        );
    }
    if asks_for("breaks") {
        let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
        let response = Response::builder().header("content-type", "text/event-stream");
        return response.body(Body::from(first)).unwrap();
    }
    if word == "good" && call.path.contains("/chat/") {
        let choice =
            json!({"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"});
        let usage = json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12});
        return reply(200, &json!({"choices": [choice], "usage": usage}));
    }
    by_word(call)
}

/// A chain of three: without a usable key, broken, and serving; and providers beside it.
fn tables(stub: &Stub, sockets: &Sockets, folder: &Path) -> String {
    let provider = |name: &str, address: std::net::SocketAddr, more: &str, keys: &[&str]| {
        let key = |(number, word): (usize, &&str)| {
            format!("[[provider.key]]\nid = \"{name}-{number}\"\nsecret = \"{word}-0123456789\"\n")
        };
        let keys: String = keys.iter().enumerate().map(key).collect();
        format!(
            "[[provider]]\nname = \"{name}\"\ndialect = \"openai\"\nbase_url = \"http://{address}/v1\"\n{more}\n{keys}"
        )
    };
    let at = stub.address;
    let secret = folder.join("secret");
    fs::write(&secret, "good-0123456789").unwrap();
    [
        format!(
            "token = \"gateway-token\"\nstate_file = {:?}\n[status]\noperator_token = \"operator-token\"\n\
             [[caller]]\nname = \"search\"\ntoken = \"token-of-search\"\n\
             [chain]\norder = [\"empty\", \"broken\", \"serving\"]\nresend_ambiguous = false\n",
            folder.join("state.json")
        ),
        provider("empty", at, "", &["limited-1"]),
        provider("broken", at, "", &["down-1"]),
        provider("serving", at, "selection = \"in_order\"", &["limited-2", "invalid-1", "good-1"]),
        provider("counted", at, "[[provider.limit]]\nrequests_per_day = 2", &["good-2"]),
        provider("back", at, "", &["once-1"]),
        provider("live", sockets.address, "endpoints = [\"+realtime\"]", &["echo-1"]),
        provider("issued", at, "", &[])
            + &format!(
                "[[provider.key]]\nid = \"issued\"\nsecret = {{ file = {:?} }}\n",
                secret.display().to_string()
            ),
    ]
    .concat()
}

#[tokio::test]
async fn every_metric_changes_when_something_happens() {
    let folder = std::env::temp_dir().join(format!("gateway-metrics-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    let recorded = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let is_first = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let stub = Stub::with(move |call| {
        let is_once = call.key.starts_with("once");
        answers(call, is_once && is_first.swap(false, std::sync::atomic::Ordering::Relaxed))
    })
    .await;
    let sockets = Sockets::start().await;
    let config = config(&tables(&stub, &sockets, &folder));
    // Otherwise counting would begin with the first scrape, after the first secret.
    let _counting = config.events().clone().with_metrics();
    let stores = Stores::start(&config).await.unwrap();
    let render = recorded.clone();
    let gateway = Gateway::serving(config, Options::new().metrics(move || render.render())).await;
    let mut stage = Stage { gateway, recorded, seen: BTreeMap::new() };
    requests(&mut stage).await;
    faults(&mut stage).await;
    operators(&mut stage).await;
    websockets(&mut stage).await;
    state(&mut stage, &folder).await;
    stores.stop().await;
    fs::remove_dir_all(&folder).unwrap();

    let changed = |name: &str| {
        let is_of = |series: &String| {
            let own = series.split('{').next().unwrap();
            own == name || ["_sum", "_bucket"].iter().any(|end| own.strip_suffix(end) == Some(name))
        };
        stage.seen.keys().any(is_of)
    };
    let Some(names) = documented() else { return };
    let same: Vec<_> = names.iter().filter(|name| !changed(name) && !ELSEWHERE.contains(&&***name)).collect();
    assert_eq!(same, Vec::<&String>::new(), "nothing happened that changes these");
}

/// One request that rotates and falls back.
async fn requests(stage: &mut Stage) {
    stage.until("secret_renewals_total{provider=\"issued\",key=\"issued\",outcome=\"renewed\"} 1").await;
    stage.until("usable_keys{provider=\"serving\",model=\"\"} 3").await;
    let (status, _) = stage.chat("/v1/chat/completions", "gpt-4o").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "fallbacks_total{from=\"empty\",to=\"broken\",reason=\"exhausted\"} 1",
        "fallbacks_total{from=\"broken\",to=\"serving\",reason=\"",
        "exhausted_total{provider=\"empty\",model=\"",
        "pool_failures_total{provider=\"empty\",reason=\"exhausted\"} 1",
        "attempts_total{provider=\"serving\",key=\"serving-2\",outcome=\"success\"} 1",
        "rotations_total{provider=\"serving\",reason=\"invalid_key\"} 1",
        "invalid_keys_total{provider=\"serving\",key=\"serving-1\"} 1",
        "tokens_total{provider=\"serving\",model=\"gpt-4o\",direction=\"output\"} 5",
        "key_state{provider=\"serving\",key=\"serving-1\",state=\"invalid\"} 1",
        "usable_keys{provider=\"serving\",model=\"gpt-4o\"} 1",
        "gateway_caller_requests_total{caller=\"search\",status=\"200\"} 1",
        "gateway_caller_tokens_total{caller=\"search\",direction=\"input\"} 7",
    ] {
        stage.until(line).await;
    }
}

/// A provider that is down, all providers that are, a stream that breaks, a used-up limit, a key that recovers.
async fn faults(stage: &mut Stage) {
    stage.until("breaker_state{provider=\"broken\"} 0").await;
    for _ in 0..50 {
        stage.chat("/v1/chat/completions", "gpt-4o").await;
    }
    stage.until("breaker_state{provider=\"broken\"} 2").await;
    let (status, _) = stage.chat("/v1/chat/completions", "nothing").await;
    assert!(status.is_server_error(), "{status}");
    stage.until("chain_failures_total{provider=\"empty\"} 1").await;
    assert_eq!(stage.chat("/serving/v1/chat/completions", "breaks").await, (StatusCode::OK, None));
    stage.until("stream_failures_total{provider=\"serving\",reason=\"truncated\"} 1").await;
    for left in ["0.5", "0"] {
        assert_eq!(stage.chat("/counted/v1/chat/completions", "gpt-4o").await.0, StatusCode::OK);
        stage.until(&format!("quota_remaining_ratio{{provider=\"counted\",key=\"counted-0\",account=\"\",dimension=\"requests\",model=\"unknown\"}} {left}")).await;
    }
    stage.until("quota_warnings_total{provider=\"counted\",key=\"counted-0\",account=\"\",dimension=\"requests\"} 2").await;
    while stage.chat("/back/v1/chat/completions", "gpt-4o").await.0 == StatusCode::TOO_MANY_REQUESTS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.until("recoveries_total{provider=\"back\",key=\"back-0\"} 1").await;
}

/// A check and a change of a key.
async fn operators(stage: &mut Stage) {
    let check = Request::post("/api/keys/counted-0/check").header("x-confirm", "check");
    stage.operate(check.body(Body::empty()).unwrap()).await;
    stage.until("key_checks_total{provider=\"counted\",key=\"counted-0\",result=\"").await;
    stage.operate(verb("drain", "counted-0")).await;
    stage.until("key_changes_total{provider=\"counted\",change=\"drained\"} 1").await;
}

fn verb(verb: &str, key: &str) -> Request<Body> {
    let provider = key.split('-').next();
    let body = json!({"verb": verb, "provider": provider, "key": key}).to_string();
    let mut request = post("/api/keys", Body::from(body));
    request.headers_mut().insert("x-confirm", verb.parse().unwrap());
    request
}

async fn websockets(stage: &mut Stage) {
    let headers = [("authorization", "Bearer token-of-search")];
    let path = "/live/v1/realtime?model=gpt-realtime";
    let (mut client, _) = connect(stage.gateway.address, path, &headers).await.unwrap();
    assert_eq!(ask(&mut client, "hi").await, "hi");
    stage.until("gateway_websockets{provider=\"live\"} 1").await;
    client.close(None).await.unwrap();
    stage.until("gateway_websockets{provider=\"live\"} 0").await;
}

/// A disk that fails, and works again.
async fn state(stage: &mut Stage, folder: &Path) {
    stage.until("store_up{provider=\"serving\",store=\"file\"} 1").await;
    // A directory in the place of the new file can't be replaced.
    fs::create_dir(folder.join("state.json.new")).unwrap();
    stage.operate(verb("disable", "live-0")).await;
    stage.until("store_up{provider=\"serving\",store=\"file\"} 0").await;
    stage.until("store_failures_total{provider=\"serving\",store=\"file\"} ").await;
    fs::remove_dir(folder.join("state.json.new")).unwrap();
    stage.until("store_up{provider=\"serving\",store=\"file\"} 1").await;
    stage.until("store_last_success_timestamp_seconds{provider=\"serving\",store=\"file\"} ").await;
}

/// Returns the names in the tables of metrics. `None` in a package, which has no table of the library.
fn documented() -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path| fs::read_to_string(folder.join(path)).ok();
    let tables = read("../../src/event/metrics.rs").zip(read("../../docs/guide/operating.md"));
    let Some((library, gateway)) = tables else {
        eprintln!("skipped: the tables of the metrics are no part of this package");
        return None;
    };
    let row = |line: &str| {
        let row = line.trim_start_matches("//! ").strip_prefix("| `")?;
        Some(row.split('`').next()?.to_owned())
    };
    let names = library.lines().chain(gateway.lines()).filter_map(row);
    let names: Vec<_> = names.filter(|name| name.starts_with("tower_key_rotation_")).collect();
    assert!(names.len() > 25, "{names:?}");
    Some(names)
}
