//! Providers that speak HTTP/2 and break its streams and connections, frame by frame.

#![cfg(all(feature = "hyper-util", feature = "reqwest"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tower::{Layer, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::ProviderFallbackLayer;
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, Provider};

const CONTENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n";
const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
/// A limit that holds on a machine under any load.
const AT_ALL: Duration = Duration::from_secs(30);

const NO_ERROR: u8 = 0;
const INTERNAL_ERROR: u8 = 2;
const REFUSED_STREAM: u8 = 7;

/// An action of a provider during a request.
#[derive(Clone, Copy, Debug)]
enum Step {
    Head,
    Data(&'static str),
    /// Ends the stream cleanly.
    End,
    Reset(u8),
    /// Sends GOAWAY with the number of the last stream that was, or will be, processed.
    GoAway(u32),
    Close,
    /// Sends empty data frames, ten per second.
    Nothing,
    /// Waits until the client has read the data, since a reset that overtakes data discards them.
    Read,
}

use Step::{Close, Data, End, GoAway, Head, Nothing, Read, Reset};

#[tokio::test]
async fn an_ambiguous_request_is_sent_once() {
    for script in [
        &[Reset(INTERNAL_ERROR)][..],
        &[Reset(NO_ERROR)],
        &[GoAway(1), Close],
        &[Close],
        &[Head, End],
        &[Head, Reset(NO_ERROR)],
        &[Head, Reset(INTERNAL_ERROR)],
        &[Head, Data(ROLE), End],
        &[Head, Data(ROLE), Reset(NO_ERROR)],
        &[Head, Data(ROLE), GoAway(1), Close],
        &[Head, Nothing],
    ] {
        for in_chain in [false, true] {
            let (error, calls) = error_of(script, in_chain).await;
            assert_eq!(calls, 1, "{script:?} {in_chain}");
            let response = error.into_response();
            assert!(response.status().is_server_error(), "{script:?}: {}", response.status());
            assert_eq!(response.headers()["x-should-retry"], "false", "{script:?}");
        }
    }
}

#[tokio::test]
async fn a_reset_after_content_is_an_error() {
    for end in [Reset(NO_ERROR), Reset(INTERNAL_ERROR), End, Close, Nothing] {
        let upstream = Upstream::serving(vec![Head, Data(ROLE), Data(CONTENT), Read, end]).await;
        let response = timeout(AT_ALL, chain(&upstream).oneshot(request(&upstream))).await.unwrap().unwrap();
        let mut body = response.into_body();
        let mut text = Vec::new();
        let error = loop {
            match timeout(AT_ALL, body.frame()).await.expect("it ends") {
                Some(Ok(frame)) => {
                    text.extend_from_slice(frame.data_ref().unwrap());
                    upstream.has_read(text.len() == ROLE.len() + CONTENT.len());
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        assert_eq!(String::from_utf8(text).unwrap(), [ROLE, CONTENT].concat(), "{end:?}");
        assert!(error.is_some(), "{end:?}");
        assert_eq!(upstream.calls.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_reset_after_the_terminator_is_no_error() {
    for end in [Reset(NO_ERROR), Reset(INTERNAL_ERROR), GoAway(1), Close, Nothing] {
        let upstream = Upstream::serving(vec![Head, Data(CONTENT), Data(DONE), Read, end]).await;
        let response = timeout(AT_ALL, chain(&upstream).oneshot(request(&upstream))).await.unwrap().unwrap();
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = timeout(AT_ALL, body.frame()).await.expect("it ends") {
            text.extend_from_slice(frame.unwrap().data_ref().unwrap());
            upstream.has_read(text.len() == CONTENT.len() + DONE.len());
        }
        assert_eq!(String::from_utf8(text).unwrap(), [CONTENT, DONE].concat(), "{end:?}");
    }
}

#[tokio::test]
async fn an_unprocessed_request_is_sent_again() {
    for script in [&[Reset(REFUSED_STREAM)][..], &[GoAway(0), Close]] {
        for in_chain in [false, true] {
            let (error, calls) = error_of(script, in_chain).await;
            assert_eq!(calls, 2, "{script:?}: {error}");
            let response = error.into_response();
            assert!(!response.headers().contains_key("x-should-retry"), "{script:?}");
        }
    }
}

#[tokio::test]
async fn reqwests_errors_tell_an_unprocessed_request_too() {
    for (script, expected) in [(&[Reset(REFUSED_STREAM)][..], false), (&[Reset(INTERNAL_ERROR)], true)] {
        let upstream = Upstream::serving(script.to_vec()).await;
        let client = reqwest::Client::builder().http2_prior_knowledge().retry(reqwest::retry::never());
        let service = rotating(&upstream).layer(ReqwestClient::new(client).unwrap());
        let error =
            timeout(AT_ALL, service.oneshot(request(&upstream))).await.unwrap().map(drop).unwrap_err();
        let Error::AllKeysFailed(failed) = error else { panic!("{error}") };
        assert_eq!(failed.may_have_run(), expected, "{script:?}");
    }
}

async fn error_of(script: &[Step], in_chain: bool) -> (Error, usize) {
    let upstream = Upstream::serving(script.to_vec()).await;
    let layer = rotating(&upstream).peek(64 * 1024, 200, Duration::from_millis(300));
    let error = if in_chain {
        timeout(AT_ALL, chain(&upstream).oneshot(request(&upstream))).await.unwrap().map(drop).unwrap_err()
    } else {
        let alone = layer.layer(client());
        match timeout(AT_ALL, alone.oneshot(request(&upstream))).await.unwrap() {
            // Without a limit for the first content, the chain commits to a silent stream.
            Ok(_) if matches!(script, [Head, Nothing]) => return error_of_chain(script).await,
            other => other.map(drop).unwrap_err(),
        }
    };
    (error, upstream.calls.load(Ordering::SeqCst))
}

async fn error_of_chain(script: &[Step]) -> (Error, usize) {
    let upstream = Upstream::serving(script.to_vec()).await;
    let error = chain(&upstream).oneshot(request(&upstream)).await.map(drop).unwrap_err();
    (error, upstream.calls.load(Ordering::SeqCst))
}

type Http = Client<HttpConnector, ReplayBody>;
type Rotating = tower_key_rotation::rotate::KeyRotation<Http>;
type Chain = tower_key_rotation::fallback::ProviderFallback<
    Rotating,
    tower_key_rotation::body::ResponseBody<hyper::body::Incoming>,
>;

fn client() -> Http {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

fn rotating(upstream: &Upstream) -> KeyRotationLayer {
    let keys = ["0", "1"].map(|key| ApiKey::new(support::secret(key)).unwrap());
    let provider = Provider::openai().with_origin(upstream.origin.parse().unwrap());
    KeyRotationLayer::new(KeyPool::builder(provider).keys(keys).build().unwrap())
}

fn chain(upstream: &Upstream) -> Chain {
    ProviderFallbackLayer::new("first")
        .head_timeout(AT_ALL)
        .first_content_timeout(Duration::from_millis(500))
        .idle_timeout(Duration::from_millis(200))
        .backoff(Duration::ZERO, Duration::ZERO)
        .layer(rotating(upstream).layer(client()))
}

fn request(upstream: &Upstream) -> Request<Full<Bytes>> {
    Request::post(format!("{}/v1/chat/completions", upstream.origin))
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"m","messages":[],"stream":true}"#))
        .unwrap()
}

/// A provider over a raw socket that counts the requests that arrived completely.
struct Upstream {
    origin: String,
    calls: Arc<AtomicUsize>,
    read: Arc<Notify>,
}

impl Upstream {
    fn has_read(&self, all: bool) {
        if all {
            self.read.notify_one();
        }
    }

    async fn serving(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let (counted, read) = (Arc::clone(&calls), Arc::new(Notify::new()));
        let heard = Arc::clone(&read);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, script.clone(), Arc::clone(&counted), Arc::clone(&heard)));
            }
        });
        Self { origin, calls, read }
    }
}

/// Serves a connection until a script or the client ends it.
async fn serve(
    mut socket: TcpStream,
    script: Vec<Step>,
    calls: Arc<AtomicUsize>,
    read: Arc<Notify>,
) -> Option<()> {
    socket.read_exact(&mut [0; 24]).await.ok()?;
    send(&mut socket, 4, 0, 0, b"").await?;
    loop {
        let (kind, flags, stream) = receive(&mut socket).await?;
        if kind == 4 && flags & 1 == 0 {
            send(&mut socket, 4, 1, 0, b"").await?;
        }
        // The end of a request, in its headers or its data.
        if matches!(kind, 0 | 1) && flags & 1 == 1 {
            calls.fetch_add(1, Ordering::SeqCst);
            for step in &script {
                play(*step, &mut socket, stream, &read).await?;
            }
        }
    }
}

/// `None`: close the connection.
async fn play(step: Step, socket: &mut TcpStream, stream: u32, read: &Notify) -> Option<()> {
    match step {
        // `:status: 200` and `content-type: text/event-stream`, encoded with HPACK.
        Head => send(socket, 1, 4, stream, b"\x88\x0f\x10\x11text/event-stream").await,
        Data(text) => send(socket, 0, 0, stream, text.as_bytes()).await,
        End => send(socket, 0, 1, stream, b"").await,
        Reset(code) => send(socket, 3, 0, stream, &u32::from(code).to_be_bytes()).await,
        GoAway(last) => send(socket, 7, 0, 0, &[last.to_be_bytes(), [0; 4]].concat()).await,
        Close => None,
        Read => {
            read.notified().await;
            Some(())
        }
        Nothing => loop {
            send(socket, 0, 0, stream, b"").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        },
    }
}

async fn send(socket: &mut TcpStream, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Option<()> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    socket.write_all(&[&head, payload].concat()).await.ok()
}

async fn receive(socket: &mut TcpStream) -> Option<(u8, u8, u32)> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.ok()?;
    let [_, a, b, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; usize::from(u16::from_be_bytes([a, b]))];
    socket.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, u32::from_be_bytes(stream)))
}
