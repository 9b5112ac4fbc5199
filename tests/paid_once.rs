//! The number of calls of a provider, for each fault and setting: the tables in the docs, tried over sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use raw::{HeldClock, LAST_CHUNK, Raw, STREAM, Step, event, json};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::fallback::{Commit, ProviderFallbackLayer, Route};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

const TABLES: &str = include_str!("../src/rotate/paid_once.md");
const TIMEOUT: &str = "timeout of a layer inside";
const NO_HEAD: &str = "no head within `head_timeout`";
const LIMIT: Duration = Duration::from_secs(60);

type Http = BoxCloneSyncService<Request<ReplayBody>, Response<Incoming>, BoxError>;
type Body = ResponseBody<Incoming>;

const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
const CONTENT: &str = r#"{"choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const MESSAGE_START: &str = r#"{"type":"message_start","message":{"id":"msg_1","role":"assistant","content":[],"usage":{"input_tokens":50000,"output_tokens":1}}}"#;
const CREATED: &str = r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress"}}"#;
const FAILED: &str = r#"{"error":{"message":"The server had an error","type":"server_error","code":null}}"#;

const LATE: &str = r#"{"type":"error","error":{"type":"timeout_error","message":"Request timed out"}}"#;

/// The behaviour of an upstream, for one row of the tables.
fn script_of(fault: &str) -> Vec<Step> {
    let refused = |status| vec![Step::send(json(status, FAILED))];
    let stream = |events: &[&str], then: Option<Step>| {
        let events: String = events.iter().map(|data| event(data)).collect();
        let then = then.unwrap_or_else(|| Step::send(LAST_CHUNK));
        vec![Step::send([STREAM, &events].concat()), then]
    };
    let cut = |events: &[&str]| stream(events, Some(Step::Cut));
    match fault {
        "connection cut before the head" => vec![Step::Cut],
        "connection reset before the head" => vec![Step::Reset],
        NO_HEAD | TIMEOUT => vec![Step::Outlast],
        "status 408" => refused(408),
        "status 499" => refused(499),
        "status 500" => refused(500),
        "status 502" => refused(502),
        "status 503" => refused(503),
        "status 504" => refused(504),
        "status 520" => refused(520),
        "status 524" => refused(524),
        "status 529" => refused(529),
        "stream cut before its first event" => cut(&[]),
        "stream cut after a role" => cut(&[ROLE]),
        "stream cut after `message_start`" => cut(&[MESSAGE_START]),
        "stream cut after `response.created`" => cut(&[CREATED]),
        "stream cut after content" => cut(&[ROLE, CONTENT]),
        "stream ended without content" => stream(&[ROLE], None),
        "stream with a malformed first event" => stream(&[r#"{"choi"#, CONTENT, END], None),
        "no content within `first_content_timeout`" => stream(&[ROLE], Some(Step::Outlast)),
        "JSON body cut at 60 %" => {
            let whole = json(200, r#"{"choices":[{"message":{"content":"hello"}}]}"#);
            vec![Step::send(&whole[..whole.len() - 18]), Step::Cut]
        }
        "error event before content" => stream(&[ROLE, FAILED], None),
        "timeout as an error event before content" => stream(&[ROLE, LATE], None),
        other => panic!("no script for {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_layer_calls_as_often_as_the_table_says() {
    let _clock = HeldClock::new();
    let rows = rows_of("fault");
    assert_eq!(rows.len(), 24);
    for (fault, cells) in rows {
        for (setting, expected) in cells {
            let upstream = Upstream::new(&fault).await;
            let layer = rotating(&upstream.origin, 2);
            let layer = if fault == NO_HEAD { layer.head_timeout(LIMIT) } else { layer };
            let layer = layer.resend_ambiguous(setting.contains("resend_ambiguous(true)"));
            let _ = call(layer.layer(client(&fault)), &upstream.origin, &setting).await;
            assert_eq!(upstream.calls(), expected, "{fault}, {setting}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_calls_as_often_as_the_table_says() {
    let _clock = HeldClock::new();
    let rows = rows_of("fault of the first");
    assert_eq!(rows.len(), 25);
    for (fault, cells) in rows {
        for (setting, expected) in cells {
            let served = [ROLE, CONTENT, END, "[DONE]"].map(event).concat();
            let second = Raw::serving([Step::send([STREAM, &served, LAST_CHUNK].concat())]).await;
            let first = Upstream::new(&fault).await;
            let layer = chain(&fault, &setting, &second);
            let link = rotating(&first.origin, 2).layer(client(&fault));
            let _ = call(layer.layer(link), &first.origin, &setting).await;
            let called = if setting.starts_with("two") {
                format!("{} + {}", first.calls(), second.calls())
            } else {
                first.calls()
            };
            assert_eq!(called, expected, "{fault}, {setting}");
        }
    }
}

/// The first provider, which fails.
struct Upstream {
    origin: String,
    raw: Option<Raw>,
}

impl Upstream {
    async fn new(fault: &str) -> Self {
        if fault == "connection refused" {
            return Self { origin: Raw::refused(), raw: None };
        }
        let raw = Raw::serving(script_of(fault)).await;
        Self { origin: raw.origin(), raw: Some(raw) }
    }

    fn calls(&self) -> String {
        self.raw.as_ref().map_or(0, Raw::calls).to_string()
    }
}

fn chain(fault: &str, setting: &str, second: &Raw) -> ProviderFallbackLayer<Body> {
    let layer = ProviderFallbackLayer::new("first")
        .backoff(Duration::ZERO, Duration::ZERO)
        .resend_ambiguous(!setting.contains("resend_ambiguous(false)"));
    let layer = match fault {
        NO_HEAD => layer.head_timeout(LIMIT),
        "no content within `first_content_timeout`" => layer.first_content_timeout(LIMIT),
        _ => layer,
    };
    let complete = setting.contains("Commit::Complete");
    let layer = if complete { layer.commit(Commit::Complete) } else { layer };
    if !setting.starts_with("two") {
        return layer;
    }
    let origin = second.origin();
    let route = Route::to(&format!("{origin}/v1")).unwrap();
    layer.fallback("second", rotating(&origin, 1).layer(client("")), route)
}

fn rotating(origin: &str, keys: usize) -> KeyRotationLayer {
    let keys = (0..keys).map(|key| ApiKey::new(support::secret(&key.to_string())).unwrap());
    let provider = Provider::openai().with_origin(origin.parse().unwrap());
    let pool = KeyPool::builder(provider).keys(keys).build().unwrap();
    KeyRotationLayer::new(pool).backoff(Duration::ZERO, Duration::ZERO)
}

fn client(fault: &str) -> Http {
    let client: Client<HttpConnector, ReplayBody> = Client::builder(TokioExecutor::new()).build_http();
    if fault == TIMEOUT {
        return ServiceBuilder::new().boxed_clone_sync().timeout(LIMIT).service(client);
    }
    ServiceBuilder::new().boxed_clone_sync().map_err(BoxError::from).service(client)
}

/// Sends a request, and reads the part of the response that is delivered.
async fn call<S, B>(service: S, origin: &str, setting: &str) -> Result<(), BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResponseBody<B>>>,
    S::Error: Into<BoxError>,
    ResponseBody<B>: http_body::Body<Error = BoxError>,
{
    let mut request = Request::post(format!("{origin}/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"m","messages":[],"stream":true}"#))
        .unwrap();
    if setting.contains("Idempotency-Key") {
        request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
    }
    let response = service.oneshot(request).await.map_err(Into::into)?;
    response.into_body().collect().await.map(drop)
}

/// Returns the rows of the table whose first column has this name: a fault, and the expected calls for each
/// setting.
fn rows_of(name: &str) -> Vec<(String, Vec<(String, String)>)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = TABLES.lines().skip_while(|line| !line.starts_with(&format!("| {name} |")));
    let settings = cells(lines.next().unwrap());
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    let rows: Vec<_> = rows
        .map(|row| (row[0].clone(), settings[1..].iter().cloned().zip(row[1..].iter().cloned()).collect()))
        .collect();
    let faults: BTreeSet<_> = rows.iter().map(|(fault, _): &(String, Vec<_>)| fault).collect();
    assert_eq!(faults.len(), rows.len(), "a row twice");
    rows
}
