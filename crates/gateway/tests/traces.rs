//! Traces by OTLP, against a collector on a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use support::{Gateway, MARKER, Sims, chat, configured, header, text};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower_key_rotation_gateway::{Options, Traces};
use tower_key_rotation_sim::{Script, SimFault, SimServer};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// A collector that keeps what it gets.
struct Collector {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

// === impl Collector ===

impl Collector {
    async fn start() -> Self {
        let bodies = Arc::<Mutex<Vec<Bytes>>>::default();
        let kept = Arc::clone(&bodies);
        let router = Router::new().fallback(move |body: Bytes| async move {
            kept.lock().unwrap().push(body);
            StatusCode::OK
        });
        Self { address: serve(router).await, bodies }
    }

    fn traces(&self) -> Traces {
        Traces::to(&format!("http://{}/v1/traces", self.address)).unwrap()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap()).collect()
    }

    /// Returns the spans in order of their beginning, those of requests first.
    fn spans(&self) -> Vec<Span> {
        let batches = self.requests().into_iter().flat_map(|it| it.resource_spans);
        let mut spans: Vec<_> = batches.flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect();
        spans.sort_by_key(|span| (span.kind, span.start_time_unix_nano, span.end_time_unix_nano));
        spans
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

fn attributes(list: &[KeyValue]) -> BTreeMap<&str, String> {
    let value = |it: &KeyValue| match it.value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{}: {other:?}", it.key),
    };
    list.iter().map(|it| (&*it.key, value(it))).collect()
}

#[track_caller]
fn assert_has(span: &Span, expected: &[(&str, &str)]) {
    let found = attributes(&span.attributes);
    for (name, value) in expected {
        assert_eq!(found.get(name).map(String::as_str), Some(*value), "{name} of {found:#?}");
    }
}

#[tokio::test]
async fn a_request_and_each_try_have_a_span() {
    let (collector, sims) = (Collector::start().await, Sims::new());
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
    let traces = collector.traces();
    let callers = "[[caller]]\nname = \"team\"\ntoken = \"tkrmarker-of-team\"\n[chain]\nstart = \"ordered\"";
    let gateway = Gateway::with(&sims, callers, Options::new().traces(traces.clone())).await;
    let mut request = chat("?user=someone");
    request.headers_mut().insert("traceparent", PARENT.parse().unwrap());
    request.headers_mut().insert("authorization", "Bearer tkrmarker-of-team".parse().unwrap());
    let response = gateway.send(request).await;
    assert_eq!(header(&response, "x-served-by"), "openai/b");
    text(response).await;
    gateway.stop().await.unwrap();
    traces.stop().await;

    let spans = collector.spans();
    let [request, refused, served] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!([request.kind, refused.kind, served.kind], [SERVER, CLIENT, CLIENT]);
    assert!(spans.iter().all(|span| span.name == "chat gpt-4o"), "{spans:#?}");
    let trace = u128::from_str_radix("4bf92f3577b34da6a3ce929d0e0e4736", 16).unwrap().to_be_bytes();
    assert!(spans.iter().all(|span| span.trace_id == trace));
    assert_eq!(request.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert!([refused, served].iter().all(|span| span.parent_span_id == request.span_id));
    assert!(request.start_time_unix_nano <= refused.start_time_unix_nano);
    assert!(served.end_time_unix_nano <= request.end_time_unix_nano);

    let genai = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
    ];
    let answer = [("gen_ai.response.model", "openai-model"), ("http.response.status_code", "200")];
    let own = [("tower_key_rotation.provider", "openai"), ("tower_key_rotation.key", "b")];
    for span in [request, served] {
        assert_has(span, &[&genai[..], &answer, &own].concat());
        let found = attributes(&span.attributes);
        assert!(found["gen_ai.usage.input_tokens"] != "0" && found["gen_ai.usage.output_tokens"] != "0");
        assert!(!found.contains_key("error.type"), "{found:#?}");
    }
    assert_has(request, &[("url.path", "/v1/chat/completions"), ("http.request.method", "POST")]);
    assert_has(request, &[("tower_key_rotation.attempts", "2"), ("tower_key_rotation.caller", "team")]);
    assert_has(
        refused,
        &[&genai[..], &[("error.type", "rate_limited"), ("tower_key_rotation.key", "a")]].concat(),
    );
    assert_has(refused, &[("http.response.status_code", "429"), ("server.address", "127.0.0.1")]);
    assert_has(served, &[("http.request.resend_count", "1")]);
    assert_eq!([refused, served].map(|span| span.status.as_ref().map_or(0, |status| status.code)), [2, 0]);
    for body in collector.bodies.lock().unwrap().iter() {
        let body = String::from_utf8_lossy(body);
        assert!(!body.contains(MARKER) && !body.contains("someone"), "a secret or a query in {body}");
    }
}

#[tokio::test]
async fn a_request_that_no_key_serves_names_its_faults() {
    let (collector, sims) = (Collector::start().await, Sims::new());
    for sim in sims.all() {
        let fault = || SimFault::rate_limited(Duration::from_secs(60));
        ["a", "b"].iter().for_each(|key| sim.key(key).script(Script::always(fault())));
    }
    let traces = collector.traces();
    let chain = "[chain]\nwait_for_key = false";
    let gateway = Gateway::with(&sims, chain, Options::new().traces(traces.clone())).await;
    let response = gateway.send(chat("")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    text(response).await;
    gateway.stop().await.unwrap();
    traces.stop().await;

    let spans = collector.spans();
    let (request, tries) = spans.split_first().unwrap();
    assert_has(request, &[("error.type", "429"), ("http.response.status_code", "429")]);
    assert_eq!(
        request.status.as_ref().map_or(0, |status| status.code),
        0,
        "the caller's limit is no server error"
    );
    assert_eq!(tries.len(), 6, "{tries:#?}");
    for provider in ["openai", "anthropic", "gcp.gemini"] {
        let its = |span: &&Span| attributes(&span.attributes)["gen_ai.provider.name"] == provider;
        let its: Vec<_> = tries.iter().filter(its).collect();
        assert_eq!(its.len(), 2, "{provider}");
        its.iter().for_each(|span| assert_has(span, &[("error.type", "rate_limited")]));
    }
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_spans() {
    let (collector, sims) = (Collector::start().await, Sims::new());
    for key in ["a", "b"] {
        sims.openai.key(key).script(Script::always(SimFault::Silent));
    }
    let traces = collector.traces();
    let gateway = Gateway::with(&sims, "", Options::new().traces(traces.clone())).await;
    timeout(Duration::from_millis(300), gateway.send(chat(""))).await.unwrap_err();
    gateway.stop().await.unwrap();
    traces.stop().await;
    let spans = collector.spans();
    assert_eq!(spans.iter().map(|span| span.kind).collect::<Vec<_>>(), [SERVER, CLIENT]);
    spans.iter().for_each(|span| assert_has(span, &[("error.type", "cancelled")]));
}

/// Starts the program with the variables of a collector, and returns its address.
async fn program(
    test: &str,
    collector: &str,
    more: &[(&str, &str)],
) -> (tokio::process::Child, SocketAddr, Vec<SimServer>) {
    let (_, servers) = configured(&Sims::new(), "").await;
    let mut text = String::new();
    for (name, server, path) in [("openai", &servers[0], "/v1"), ("anthropic", &servers[1], "/v1")] {
        let (origin, key) = (server.origin(), support::secret("a"));
        text += &format!(
            "[[provider]]\nname = \"{name}\"\nbase_url = \"{origin}{path}\"\n[[provider.key]]\nsecret = \"{key}\"\n"
        );
    }
    let file = std::env::temp_dir().join(format!("gateway-traces-{test}-{}.toml", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_key-rotation-gateway"))
        .args(["--listen", "127.0.0.1:0", "--log", "trace", "--config"])
        .arg(file)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .envs(more.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = stdout.next_line().await.unwrap().expect("the gateway starts");
        if let Some(address) = line.strip_prefix("listening on http://") {
            break address.parse().unwrap();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = stdout.next_line().await {} });
    (child, address, servers)
}

async fn post(address: SocketAddr, requests: usize) {
    use hyper_util::client::legacy::Client;
    let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http::<Body>();
    for _ in 0..requests {
        let mut request = chat("");
        *request.uri_mut() = format!("http://{address}/v1/chat/completions").parse().unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        text(response).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_exports_its_last_spans_when_it_stops() {
    let collector = Collector::start().await;
    let user = format!("http://user:{MARKER}@{}", collector.address);
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-token=tkrmarker"), ("OTEL_SERVICE_NAME", "edge")];
    let (mut child, address, _servers) = program("stops", &user, &headers).await;
    post(address, 3).await;
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap().success());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(!log.contains(MARKER), "{log}");

    assert_eq!(collector.spans().iter().filter(|span| span.kind == SERVER).count(), 3, "{log}");
    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attributes_of_text(&resource.attributes)["service.name"], "edge");
}

/// Returns the attributes that are text.
fn attributes_of_text(list: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |it: &&KeyValue| {
        matches!(it.value.as_ref().and_then(|it| it.value.as_ref()), Some(any_value::Value::StringValue(_)))
    };
    let list: Vec<&KeyValue> = list.iter().filter(text).collect();
    list.iter().flat_map(|it| attributes(std::slice::from_ref(*it))).collect()
}

#[tokio::test]
async fn a_collector_that_hangs_delays_no_request() {
    let router = Router::new().fallback(|| async { std::future::pending::<StatusCode>().await });
    let collector = format!("http://{}", serve(router).await);
    let small = [("OTEL_BSP_SCHEDULE_DELAY", "5"), ("OTEL_BSP_MAX_QUEUE_SIZE", "8")];
    let (_child, address, _servers) = program("hangs", &collector, &small).await;
    timeout(Duration::from_secs(20), post(address, 60)).await.expect("no request waits for the collector");
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_not_quoted() {
    for url in ["https://user:tkr^marker@collector:4318", "http://user:tkr marker@[::1"] {
        let error = Traces::to(url).err().unwrap();
        let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!shown.contains("tkr"), "{shown}");
    }
}
