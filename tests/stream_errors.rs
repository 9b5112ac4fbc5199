//! Failing streams as the caller sees them: over raw sockets on both sides, with hyper's server around the
//! services of the crate.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceBuilder};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::fallback::{BreakerPolicy, Commit, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, RespondLayer};

type Hyper = Client<HttpConnector, ReplayBody>;
type Body = ResponseBody<Incoming>;

const RUNS: usize = 100;
const LIMIT: Duration = Duration::from_secs(20);

const TEXT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const LAST: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"last\"},\"finish_reason\":null}]}\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"last\",\"type\":\"server_error\"}}\n\n";
const MALFORMED: &str = "data: {\"last\n\n";
const BEHIND: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"behind\"}}]}\n\n";

/// The action of an upstream after the bytes that it sends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// Ends the body.
    Ends,
    /// Closes the connection within the body.
    Breaks,
    /// Sends nothing more.
    Stays,
}

#[derive(Clone, Copy, Debug)]
enum Around {
    Rotation,
    Chain(Commit),
}

const AROUND: [Around; 3] =
    [Around::Rotation, Around::Chain(Commit::FirstContent), Around::Chain(Commit::Head)];

// === the last event ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_event_before_an_error_arrives() {
    let cases: [(&[&str], Then); 4] = [
        (&[TEXT, ERROR], Then::Ends),
        (&[TEXT, TEXT, LAST], Then::Ends),
        (&[TEXT, TEXT, LAST], Then::Breaks),
        (&[TEXT, MALFORMED], Then::Stays),
    ];
    for around in AROUND {
        for (events, then) in cases {
            // A rotation layer alone does not check the end of a stream.
            if matches!(around, Around::Rotation) && then != Then::Breaks {
                continue;
            }
            let server = serve(around, upstream(stream(events, then), then).await).await;
            let mut arrived = 0;
            for _ in 0..RUNS {
                let came = raw(&server).await;
                assert!(!came.ends_with("0\r\n\r\n"), "{around:?}: an error is no clean end: {came}");
                arrived += usize::from(came.contains("last"));
            }
            assert_eq!(arrived, RUNS, "{around:?} {events:?} {then:?}");
        }
    }
}

#[tokio::test]
async fn the_last_event_before_an_error_arrives_over_http2() {
    let server = serve(AROUND[1], upstream(stream(&[TEXT, LAST], Then::Ends), Then::Ends).await).await;
    let mut arrived = 0;
    for _ in 0..RUNS {
        let (tapped, wire) = tap(&server).await;
        let client: Client<_, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new());
        let request = Request::post(format!("http://{tapped}/v1/chat/completions"));
        let body = client.request(request.body(chat()).unwrap()).await.unwrap().into_body();
        assert!(body.collect().await.is_err(), "a reset is no clean end");
        // A reset may discard data that a client has not read, so the bytes on the wire are checked.
        arrived += usize::from(String::from_utf8_lossy(&wire.lock().unwrap()).contains("last"));
    }
    assert_eq!(arrived, RUNS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_a_body_that_breaks_at_once_arrives() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    for around in [Around::Rotation, Around::Chain(Commit::Head)] {
        let server = serve(around, upstream(head.to_owned(), Then::Breaks).await).await;
        for _ in 0..RUNS {
            let came = raw(&server).await;
            assert!(came.starts_with("HTTP/1.1 200"), "{around:?}: {came:?}");
        }
    }
}

// === the place of an error ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_event_ends_the_stream() {
    for then in [Then::Ends, Then::Stays] {
        let server = serve(AROUND[1], upstream(stream(&[TEXT, MALFORMED, BEHIND], then), then).await).await;
        let came = tokio::time::timeout(LIMIT / 2, raw(&server)).await.expect("at once");
        assert!(came.contains("last") && !came.contains("behind"), "{came}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_event_has_the_streams_dialect() {
    let responses = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n";
    let messages = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
    let gemini = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n";
    for (event, start, inside) in [
        (TEXT, "data: {\"error\":{", "\"code\":\"truncated\""),
        (responses, "event: error\ndata: {", "\"type\":\"error\""),
        (messages, "event: error\ndata: {", "\"error\":{\"message\":"),
        (gemini, "data: {\"error\":{", "\"status\":\"INTERNAL\""),
    ] {
        let address = upstream(stream(&[event], Then::Ends), Then::Ends).await;
        let server = serve_service(chain(&address, |layer| layer.error_events(true)), &address).await;
        let came = raw(&server).await;
        let (_, told) = came.split_once(event).unwrap_or_else(|| panic!("{came}"));
        assert!(told.contains(start) && told.contains(inside), "{told}");
        assert!(!came.ends_with("0\r\n\r\n"), "it is an error all the same: {came}");
    }
    let address = upstream(stream(&[TEXT, "data: {\"choi"], Then::Breaks), Then::Breaks).await;
    let server = serve_service(chain(&address, |layer| layer.error_events(true)), &address).await;
    let came = raw(&server).await;
    assert!(came.contains("\n\ndata: {\"error\":"), "an event that was cut is ended first: {came}");
    let address = upstream(stream(&[TEXT, ERROR], Then::Ends), Then::Ends).await;
    let server = serve_service(chain(&address, |layer| layer.error_events(true)), &address).await;
    assert_eq!(raw(&server).await.matches("\"error\"").count(), 1, "the provider has told it");
}

// === both ends ===

/// An event stream, in one piece.
fn stream(events: &[&str], then: Then) -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |event: &&str| format!("{:x}\r\n{event}\r\n", event.len());
    let end = if then == Then::Ends { "0\r\n\r\n" } else { "" };
    [head, &events.iter().map(chunk).collect::<String>(), end].concat()
}

/// A provider that sends the same bytes to every request.
async fn upstream(reply: String, then: Then) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let reply = reply.clone();
            tokio::spawn(async move {
                while read_request(&mut socket).await {
                    socket.write_all(reply.as_bytes()).await.unwrap();
                    match then {
                        Then::Ends => {}
                        Then::Breaks => return,
                        Then::Stays => std::future::pending().await,
                    }
                }
            });
        }
    });
    address
}

/// Reads a head and its body, by the stated length.
async fn read_request(socket: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return true;
            }
        }
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn serve(around: Around, address: String) -> String {
    match around {
        Around::Rotation => serve_service(rotation(&address), &address).await,
        Around::Chain(commit) => serve_service(chain(&address, |layer| layer.commit(commit)), &address).await,
    }
}

fn rotation(address: &str) -> KeyRotation<Hyper> {
    let provider = Provider::openai().with_origin(format!("http://{address}").parse().unwrap());
    let pool = KeyPool::builder(provider).key(ApiKey::new(support::secret("a")).unwrap()).build().unwrap();
    KeyRotationLayer::new(pool).layer(Client::builder(TokioExecutor::new()).build_http())
}

fn chain(
    address: &str,
    settings: impl FnOnce(ProviderFallbackLayer<Body>) -> ProviderFallbackLayer<Body>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ResponseBody<Body>>,
    Error = tower_key_rotation::Error,
    Future: Send,
> + Clone
+ Send
+ 'static {
    let layer = ProviderFallbackLayer::new("only")
        .route(Route::to(&format!("http://{address}/v1")).unwrap())
        .breaker(BreakerPolicy::disabled())
        .idle_timeout(LIMIT);
    ServiceBuilder::new().layer(settings(layer)).service(rotation(address))
}

/// Hyper's server around a service.
async fn serve_service<S, B>(service: S, upstream: &str) -> String
where
    S: Service<
            Request<Incoming>,
            Response = Response<ResponseBody<B>>,
            Error = tower_key_rotation::Error,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = ServiceBuilder::new()
        .map_request({
            let authority = upstream.to_owned();
            move |mut request: Request<Incoming>| {
                *request.version_mut() = http::Version::HTTP_11;
                let uri = format!("http://{authority}{}", request.uri().path());
                *request.uri_mut() = uri.parse().unwrap();
                request
            }
        })
        .layer(RespondLayer::new())
        .service(service);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ended = builder.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    address
}

/// A proxy that keeps what the server sends.
async fn tap(server: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (listener.local_addr().unwrap().to_string(), server.to_owned());
    let wire = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&wire);
    tokio::spawn(async move {
        let (mut client_reads, mut client_writes) = listener.accept().await.unwrap().0.into_split();
        let (mut server_reads, mut server_writes) = TcpStream::connect(server).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut client_reads, &mut server_writes).await });
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = server_reads.read(&mut buffer).await {
            kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            if client_writes.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    });
    (address, wire)
}

fn chat() -> Full<Bytes> {
    Full::from(r#"{"model":"m","stream":true,"messages":[]}"#)
}

/// Sends one request over a connection of its own, and reads the response.
async fn raw(server: &str) -> String {
    let mut socket = TcpStream::connect(server).await.unwrap();
    let body = chat().collect().await.unwrap_or_else(|never: Infallible| match never {}).to_bytes();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    let mut came = Vec::new();
    let _closed_or_reset = socket.read_to_end(&mut came).await;
    String::from_utf8(came).unwrap()
}
