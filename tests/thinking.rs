//! A model that thinks is not silent: time limits by model, and signs of thinking before the first content.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use support::{ORIGIN, chat, chat_stream, pool, streamed};
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_key_rotation::body::{ReadStored, ReplayBody, ResponseBody, StoredBody};
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route, Timeouts};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Error, KeyRotationLayer};

type Content = UnsyncBoxBody<Bytes, Infallible>;
type Client = BoxCloneSyncService<Request<ReplayBody>, Response<Content>, BoxError>;
type Chain = ProviderFallbackLayer<ResponseBody<Content>>;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than most limits for chat models.
const THOUGHT: Duration = Duration::from_secs(180);

const ROLE: &str = r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#;
const TEXT: &str = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
const END: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;

/// The response of a provider: the time to its head, and the pauses before its events. Without events it is JSON.
#[derive(Clone, Default)]
struct Reply {
    head: Duration,
    events: Vec<(Duration, String)>,
}

// === impl Reply ===

impl Reply {
    fn json(head: Duration) -> Self {
        Self { head, events: Vec::new() }
    }

    /// A stream that pauses before each of these events.
    fn stream(events: &[(Duration, &str)]) -> Self {
        let events = events.iter().map(|(pause, data)| (*pause, format!("data: {data}\n\n"))).collect();
        Self { head: Duration::ZERO, events }
    }

    /// Adds raw text, sent this often.
    fn repeat(mut self, text: &str, pause: Duration, times: usize) -> Self {
        self.events.extend(std::iter::repeat_n((pause, text.to_owned()), times));
        self
    }

    fn then(mut self, other: Self) -> Self {
        self.events.extend(other.events);
        self
    }

    async fn send(self) -> Response<Content> {
        sleep(self.head).await;
        if self.events.is_empty() {
            let whole = Full::from(r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#);
            return Response::builder()
                .header("content-type", "application/json")
                .body(whole.boxed_unsync())
                .unwrap();
        }
        let frames = stream::iter(self.events).then(|(pause, text)| async move {
            sleep(pause).await;
            Ok(Frame::data(Bytes::from(text)))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
    }
}

/// A provider that responds in this way, behind a rotation layer, and the number of its calls.
fn provider(reply: &Reply) -> (KeyRotation<Client>, Arc<AtomicUsize>) {
    let calls = Arc::<AtomicUsize>::default();
    let (reply, counted) = (reply.clone(), Arc::clone(&calls));
    let client = service_fn(move |request: Request<ReplayBody>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let reply = reply.clone();
        async move {
            request.into_body().collect().await?;
            Ok::<_, BoxError>(reply.send().await)
        }
    });
    (KeyRotationLayer::new(pool(&["a"])).layer(BoxCloneSyncService::new(client)), calls)
}

/// Sends a request to a chain whose second link always serves at once. Returns the link that served it and whether its
/// body came to its end, with the time that this took.
async fn ask<B>(layer: Chain, first: &Reply, request: Request<B>) -> (String, bool, Duration)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let stream = Reply::stream(&[(Duration::ZERO, TEXT), (Duration::ZERO, END), (Duration::ZERO, "[DONE]")]);
    let second = if first.events.is_empty() { Reply::json(Duration::ZERO) } else { stream };
    let chain = layer.fallback("second", provider(&second).0, Route::new()).layer(provider(first).0);
    let began = Instant::now();
    let response = chain.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let link = support::served(&response).provider().to_owned();
    let is_whole = response.into_body().collect().await.is_ok();
    (link, is_whole, Instant::now().saturating_duration_since(began))
}

/// Three ways to think for three minutes: before the head, before the first content, and within a stream.
fn thoughts() -> [(Reply, bool); 3] {
    let zero = Duration::ZERO;
    [
        (Reply::json(THOUGHT), false),
        (Reply::stream(&[(zero, ROLE), (THOUGHT, TEXT), (zero, END), (zero, "[DONE]")]), true),
        (Reply::stream(&[(zero, ROLE), (zero, TEXT), (THOUGHT, TEXT), (zero, END), (zero, "[DONE]")]), true),
    ]
}

fn request(model: &str, is_stream: bool) -> Request<Full<Bytes>> {
    if is_stream { chat_stream(model) } else { chat(model) }
}

/// Limits that suit chat models.
fn short() -> Chain {
    Chain::new("first")
        .head_timeout(30 * SECOND)
        .first_content_timeout(15 * SECOND)
        .idle_timeout(20 * SECOND)
        .timeouts_for("o*", thinking())
        .timeouts_for("*-thinking", thinking())
}

fn thinking() -> Timeouts {
    Timeouts::new().head(300 * SECOND).first_content(300 * SECOND).idle(300 * SECOND)
}

// === limits ===

#[tokio::test(start_paused = true)]
async fn three_minutes_of_thinking_are_no_fault_by_default() {
    for (reply, is_stream) in thoughts() {
        let (link, is_whole, took) = ask(Chain::new("first"), &reply, request("any", is_stream)).await;
        assert_eq!((&*link, is_whole, took), ("first", true, THOUGHT));
        let (alone, calls) = provider(&reply);
        let response = alone.oneshot(request("any", is_stream)).await.unwrap();
        assert!(response.into_body().collect().await.is_ok());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thinking_model_has_limits_of_its_own() {
    for (reply, is_stream) in thoughts() {
        for model in ["o3", "claude-thinking", "O4-mini"] {
            let (link, is_whole, took) = ask(short(), &reply, request(model, is_stream)).await;
            assert_eq!((&*link, is_whole, took), ("first", true, THOUGHT), "{model}");
        }
        let (link, is_whole, took) = ask(short(), &reply, request("gpt-4o", is_stream)).await;
        assert!(link == "second" || !is_whole, "a chat model is late after {took:?}");
        assert!(took <= 30 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_at_the_link_decides() {
    for (reply, is_stream) in thoughts() {
        let layer = short().route(Route::new().model("chat", "deep-thinking"));
        let (link, is_whole, _) = ask(layer, &reply, request("chat", is_stream)).await;
        assert_eq!((&*link, is_whole), ("first", true));
        let layer = short().route(Route::new().model("o3", "chat"));
        let (link, is_whole, _) = ask(layer, &reply, request("o3", is_stream)).await;
        assert!(link == "second" || !is_whole);
    }
}

/// Stands for a file.
struct Disk(Bytes);

impl StoredBody for Disk {
    fn read(&self, at: u64, len: usize) -> ReadStored {
        let rest = self.0.slice(usize::try_from(at).unwrap()..);
        Box::pin(async move { Ok(rest.slice(..len.min(rest.len()))) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_at_the_end_of_a_body_has_its_limits() {
    let (start, rest) = (r#"{"messages":[],"mod"#, r#"el":"o3"}"#);
    let post = || Request::post(format!("{ORIGIN}/v1/chat/completions"));
    let in_pieces = post().body(streamed(&[start, rest])).unwrap();
    assert_eq!(ask(short(), &Reply::json(THOUGHT), in_pieces).await.0, "first");
    let rest = Bytes::from(rest);
    let stored = ReplayBody::stored(Bytes::from(start), Disk(rest.clone()), rest.len() as u64);
    assert_eq!(ask(short(), &Reply::json(THOUGHT), post().body(stored).unwrap()).await.0, "first");
    let google =
        Request::post(format!("{ORIGIN}/v1beta/models/o3:generateContent")).body(Full::<Bytes>::default());
    assert_eq!(ask(short(), &Reply::json(THOUGHT), google.unwrap()).await.0, "first");
}

// === signs of thinking ===

#[tokio::test(start_paused = true)]
async fn keep_alives_count_once_the_model_thinks() {
    let begins = [
        (
            r#"{"type":"content_block_start","content_block":{"type":"thinking","thinking":""}}"#,
            "event: ping\ndata: {}\n\n",
        ),
        (
            r#"{"type":"response.output_item.added","item":{"type":"reasoning"}}"#,
            "data: {\"type\":\"keepalive\"}\n\n",
        ),
        (
            r#"{"choices":[{"delta":{"role":"assistant","content":null,"reasoning_content":""}}]}"#,
            ": keep-alive\n\n",
        ),
        (r#"{"candidates":[{"content":{"parts":[{"thought":true}]}}]}"#, ": ping\n\n"),
    ];
    let limits = || Chain::new("first").first_content_timeout(10 * SECOND);
    let content = Reply::stream(&[(SECOND, TEXT), (Duration::ZERO, END), (Duration::ZERO, "[DONE]")]);
    for (begin, keep_alive) in begins {
        let thinks = |times| Reply::stream(&[(Duration::ZERO, begin)]).repeat(keep_alive, 5 * SECOND, times);
        let (link, is_whole, _) = ask(limits(), &thinks(12).then(content.clone()), chat_stream("m")).await;
        assert_eq!((&*link, is_whole), ("first", true), "{begin}");
        let (link, _, took) = ask(limits(), &thinks(1_000), chat_stream("m")).await;
        assert_eq!((&*link, took), ("second", 100 * SECOND), "thinking ends after ten limits: {begin}");
        let silent = Reply::stream(&[(Duration::ZERO, begin), (THOUGHT, TEXT)]);
        let (link, _, took) = ask(limits(), &silent, chat_stream("m")).await;
        assert_eq!((&*link, took), ("second", 10 * SECOND), "silence is none: {begin}");
        let empty = Reply::default().repeat(keep_alive, 5 * SECOND, 12).then(content.clone());
        let (link, _, took) = ask(limits(), &empty, chat_stream("m")).await;
        assert_eq!((&*link, took), ("second", 10 * SECOND), "no thinking: {keep_alive}");
    }
}

#[tokio::test(start_paused = true)]
async fn thoughts_are_content() {
    let thought = r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#;
    let reply =
        Reply::stream(&[(9 * SECOND, thought), (9 * SECOND, TEXT), (SECOND, END), (SECOND, "[DONE]")]);
    let layer = Chain::new("first").first_content_timeout(10 * SECOND).idle_timeout(10 * SECOND);
    assert_eq!(ask(layer, &reply, chat_stream("m")).await.0, "first");
}

// === stored bodies ===

/// Fails each read.
struct Lost;

impl StoredBody for Lost {
    fn read(&self, _: u64, _: usize) -> ReadStored {
        Box::pin(async { Err("the disk is gone".into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_part_that_is_lost_fails_the_request_only() {
    let lost = || ReplayBody::stored(Bytes::from(r#"{"model":"m","#), Lost, 100);
    let request = || Request::post(format!("{ORIGIN}/v1/chat/completions")).body(lost()).unwrap();
    let (rotating, _) = provider(&Reply::json(Duration::ZERO));
    for route in [Route::new(), Route::new().model("m", "other")] {
        let chain = Chain::new("first").route(route).layer(rotating.clone());
        let Err(Error::Body(error)) = chain.clone().oneshot(request()).await.map(drop) else {
            panic!("no error")
        };
        assert_eq!(error.to_string(), "the disk is gone");
        assert!(chain.oneshot(chat("m")).await.is_ok(), "the key and the provider are not blamed");
    }
    let Err(Error::Body(_)) = rotating.clone().oneshot(request()).await.map(drop) else { panic!("no error") };
    assert!(rotating.oneshot(chat("m")).await.is_ok());
}
