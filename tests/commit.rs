//! The responses that a chain reads before it commits to them, and the end of responses after the commit.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use support::{ORIGIN, chat, chat_stream, pool, send};
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceBuilder, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody, StreamError, StreamErrorKind};
use tower_key_rotation::classify::Reason;
use tower_key_rotation::event::{EventKind, Events};
use tower_key_rotation::fallback::{BreakerPolicy, Commit, ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Error, KeyPool, KeyRotationLayer, Served};

type Raw = UnsyncBoxBody<Bytes, BoxError>;
type Upstream = BoxCloneSyncService<Request<ReplayBody>, Response<Raw>, BoxError>;
type Link = KeyRotation<Upstream>;
type Body = ResponseBody<Raw>;
type Chain = ProviderFallback<Link, Body>;
type Layered = ProviderFallbackLayer<Body>;

const LIMIT: Duration = Duration::from_secs(5);
const GOOD: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
const TEXT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n";

/// The end of a body, behind its frames.
#[derive(Clone, Copy, Debug)]
enum Then {
    Ends,
    Breaks,
    Stays,
    /// Comments, one per second.
    Pings,
}

/// The response of a provider to every request.
#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    frames: Vec<&'static str>,
    then: Then,
}

// === held back ===

#[tokio::test(start_paused = true)]
async fn incomplete_json_falls_over() {
    let broken = [
        json(&[r#"{"choices":[{"message":"#], Then::Ends),
        json(&["not json"], Then::Ends),
        json(&[GOOD, "}"], Then::Ends),
        json(&[], Then::Ends),
        json(&[GOOD], Then::Breaks),
        json(&["{"], Then::Breaks),
        json(&["{", "\"a\":"], Then::Stays),
        json(&[GOOD], Then::Stays),
        json(&["{"], Then::Ends).header("content-type", "Application/Problem+JSON; charset=utf-8"),
        json(&["zipped"], Then::Breaks).header("content-encoding", "gzip"),
    ];
    for reply in broken {
        for commit in [Commit::FirstContent, Commit::Complete] {
            let (chain, calls) =
                chain_of(&[reply.clone(), json(&[GOOD], Then::Ends)], |it| it.commit(commit));
            let response = send(&chain, chat("m")).await.unwrap();
            let served = response.extensions().get::<Served>().unwrap().clone();
            assert_eq!(served.provider(), "1", "{reply:?}");
            assert_eq!(calls_of(&calls), [1, 1], "{reply:?}: it may have run");
            let before = served.attempts();
            assert_eq!(before.len(), 1, "{reply:?}: the attempt stands in the ledger");
            assert_eq!((&*before[0].provider, before[0].status.unwrap().as_u16()), ("0", 200));
            assert!(before[0].fault.may_have_run());
            assert_eq!(support::text(response).await, GOOD);
            assert_eq!(served.stream_error(), None, "what was held back is no failure of a stream");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_while_held_back_times_out() {
    let (chain, _) = chain_of(&[json(&["{"], Then::Stays)], |it| it);
    let began = Instant::now();
    let Err(Error::AllProvidersFailed(failed)) = send(&chain, chat("m")).await else { panic!() };
    assert!(within(began, LIMIT), "{:?}", Instant::now() - began);
    assert_eq!(failed.attempts().count(), 1);
    assert_eq!(failed.attempts().next().unwrap().fault.reason(), Reason::Timeout);
    assert_eq!(failed.attempts().next().unwrap().duration.as_secs(), LIMIT.as_secs());

    let (chain, _) = chain_of(&[json(&["{"], Then::Pings)], |it| it.deadline(4 * LIMIT));
    let began = Instant::now();
    let Err(Error::AllProvidersFailed(failed)) = send(&chain, chat("m")).await else { panic!() };
    assert!(within(began, 4 * LIMIT) && failed.deadline_passed(), "the deadline holds as well");
}

#[tokio::test(start_paused = true)]
async fn a_whole_response_is_delivered_byte_for_byte() {
    let split = json(&["\u{feff}{\"a\"", ":1", "}\n"], Then::Ends);
    let documents = json(&["{\"a\":1}\n{\"a\":2}\n"], Then::Ends);
    let zipped = json(&["not json"], Then::Ends).header("content-encoding", "gzip");
    let text = json(&["not json"], Then::Ends).header("content-type", "text/plain");
    let large = json(&["[", "1", ", and what follows is no matter]"], Then::Ends);
    let nothing = json(&[], Then::Ends).status(204);
    for reply in [split, documents, zipped, text, nothing, json(&[GOOD], Then::Ends)] {
        for commit in [Commit::Head, Commit::FirstContent, Commit::Complete] {
            let (chain, _) = chain_of(std::slice::from_ref(&reply), |it| it.commit(commit));
            let response = send(&chain, chat("m")).await.unwrap();
            assert_eq!(support::text(response).await, reply.frames.concat(), "{reply:?} {commit:?}");
        }
    }
    let (chain, _) = chain_of(std::slice::from_ref(&large), |it| it.complete_cap(1));
    let response = send(&chain, chat("m")).await.unwrap();
    assert_eq!(support::text(response).await, large.frames.concat(), "what is longer than the cap passes");

    let (chain, _) = chain_of(&[json(&[], Then::Ends)], |it| it);
    let head = Request::builder().method(Method::HEAD).uri(format!("{ORIGIN}/v1/models"));
    assert!(send(&chain, head.body(Full::<Bytes>::default()).unwrap()).await.is_ok(), "HEAD has no body");
}

#[tokio::test(start_paused = true)]
async fn events_under_the_type_of_json_are_judged_as_events() {
    let [cut, whole] = [&[TEXT][..], &[TEXT, STOP]].map(|frames| json(frames, Then::Ends));
    let (chain, calls) = chain_of(&[cut, whole.clone()], |it| it);
    let response = send(&chain, chat_stream("m")).await.unwrap();
    assert_eq!(support::text(response).await, whole.frames.concat());
    assert_eq!(calls_of(&calls), [1, 1]);

    let error = json(&["data: {\"error\":{\"message\":\"no\"}}\n\n"], Then::Ends).status(400);
    let (chain, _) = chain_of(std::slice::from_ref(&error), |it| it);
    let response = send(&chain, chat_stream("m")).await.unwrap();
    assert_eq!(support::text(response).await, error.frames.concat(), "an error is no stream that failed");
}

#[tokio::test(start_paused = true)]
async fn json_that_is_not_held_back_is_not_cut_unnoticed() {
    let cut = json(&["[{\"a\":1}", "\n,", "{\"a\":2}"], Then::Ends);
    for (path, commit, cap) in [
        ("v1beta/models/m:streamGenerateContent", Commit::FirstContent, 1_000),
        ("v1/chat/completions", Commit::FirstContent, 1),
        ("v1/chat/completions", Commit::Head, 1_000),
    ] {
        let (chain, _) = chain_of(std::slice::from_ref(&cut), |it| it.commit(commit).complete_cap(cap));
        let request = Request::post(format!("{ORIGIN}/{path}")).body(Full::<Bytes>::from("{}")).unwrap();
        let mut body = send(&chain, request).await.unwrap().into_body();
        for frame in &cut.frames {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), *frame, "{path}");
        }
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(StreamError::Truncated)), "{path}: {error}");
    }
}

/// A server sends no error behind the last byte of a length that it has stated.
#[tokio::test(start_paused = true)]
async fn a_length_hides_no_cut() {
    let cut = json(&["[{\"a\":1}\n,"], Then::Ends).header("content-length", "10");
    let (chain, _) = chain_of(&[cut], |it| it);
    let gemini = Request::post(format!("{ORIGIN}/v1beta/models/m:streamGenerateContent"));
    let response = send(&chain, gemini.body(Full::<Bytes>::from("{}")).unwrap()).await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), None);
    assert!(response.into_body().collect().await.is_err());

    let whole = json(&[GOOD], Then::Ends).header("content-length", "65");
    let (chain, _) = chain_of(&[whole], |it| it);
    let response = send(&chain, chat("m")).await.unwrap();
    assert_eq!(response.headers()["content-length"], "65", "what was held back is whole");
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(65));

    let cut = json(&["{\"a\":{\"b\":1}"], Then::Ends).header("content-length", "13");
    let (chain, _) = chain_of(&[cut], |it| it.commit(Commit::Head));
    let response = send(&chain, chat("m")).await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
    assert!(response.into_body().collect().await.is_err());

    for commit in [Commit::FirstContent, Commit::Head] {
        let empty = json(&[], Then::Ends).header("content-length", "65");
        let (chain, _) = chain_of(&[empty], |it| it.commit(commit));
        let head = Request::builder().method(Method::HEAD).uri(format!("{ORIGIN}/v1/models"));
        let response = send(&chain, head.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-length"], "65", "HEAD has no body");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_and_frames_are_not_cut_unnoticed() {
    const LINES: &str = "application/x-ndjson";
    const FRAMES: &str = "application/vnd.amazon.eventstream";
    for (kind, frames, is_cut) in [
        (LINES, &["{\"done\":false}\n", "{\"done\":true}\n"][..], false),
        (LINES, &["{\"a\":1}\n", "{\"a\":2}"], false),
        (FRAMES, &["\0\0\0\x1012345678", "9012"], false),
        (LINES, &["{\"done\":false}\n", "{\"done\":false}\n"], true),
        (LINES, &["{\"a\":1}\n", "{\"a\":"], true),
        (FRAMES, &["\0\0\0\x1012345678", "901"], true),
    ] {
        let reply = json(frames, Then::Ends).header("content-type", kind);
        let (chain, _) = chain_of(&[reply, json(&[GOOD], Then::Ends)], |it| it);
        let response = send(&chain, chat("m")).await.unwrap();
        let served = response.extensions().get::<Served>().unwrap().clone();
        let end = response.into_body().collect().await;
        assert_eq!(end.is_err(), is_cut, "{frames:?}");
        assert_eq!(served.stream_error(), is_cut.then_some(StreamErrorKind::Truncated), "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_streams_pass_unbuffered() {
    let audio = json(&["RIFF"], Then::Stays).header("content-type", "audio/wav");
    let lines = json(&["{}\n"], Then::Stays).header("content-type", "application/x-ndjson");
    let refusal = json(&["{"], Then::Stays).status(400).header("content-type", "text/html");
    for reply in [audio, lines, refusal] {
        let (chain, _) = chain_of(std::slice::from_ref(&reply), |it| it.idle_timeout(60 * LIMIT));
        let began = Instant::now();
        let mut body = send(&chain, chat("m")).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), reply.frames[0]);
        assert!(Instant::now() - began <= 2 * LIMIT, "{reply:?}");
    }
    let (chain, _) = chain_of(&[json(&["[{}"], Then::Stays)], |it| it);
    let gemini = Request::post(format!("{ORIGIN}/v1beta/models/m:streamGenerateContent"));
    let began = Instant::now();
    let mut body = send(&chain, gemini.body(Full::<Bytes>::from("{}")).unwrap()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "[{}");
    assert!(within(began, Duration::ZERO), "Gemini streams JSON");
}

#[tokio::test(start_paused = true)]
async fn a_request_chooses_its_own_commit() {
    let asked = |request: Request<Full<Bytes>>, commit: Commit| {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(commit);
        Request::from_parts(parts, body)
    };
    let (chain, _) = chain_of(&[events(&[TEXT], Then::Ends), events(&[TEXT, STOP], Then::Ends)], |it| it);
    let link = |response: &Response<_>| {
        let served: &Served = Response::extensions(response).get().unwrap();
        served.provider().to_owned()
    };
    let response: Response<ResponseBody<Body>> = send(&chain, chat_stream("m")).await.unwrap();
    assert_eq!(link(&response), "0");
    let response = send(&chain, asked(chat_stream("m"), Commit::Complete)).await.unwrap();
    assert_eq!(link(&response), "1");
    let (chain, _) = chain_of(&[json(&["{"], Then::Ends), json(&[GOOD], Then::Ends)], |it| it);
    let response = send(&chain, asked(chat("m"), Commit::Head)).await.unwrap();
    assert_eq!(link(&response), "0");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_content_times_out() {
    for reply in [
        events(&[], Then::Stays),
        events(&[], Then::Pings),
        events(&[ROLE], Then::Stays),
        events(&[ROLE], Then::Pings),
    ] {
        let (chain, calls) = chain_of(std::slice::from_ref(&reply), |it| it.first_content_timeout(2 * LIMIT));
        let began = Instant::now();
        let Err(Error::AllProvidersFailed(failed)) = send(&chain, chat_stream("m")).await else { panic!() };
        assert!(within(began, 2 * LIMIT), "{reply:?}");
        assert_eq!(failed.attempts().next().unwrap().fault.reason(), Reason::Timeout);
        assert_eq!(calls_of(&calls), [1]);
    }
    let (chain, _) =
        chain_of(&[events(&[TEXT, STOP], Then::Ends)], |it| it.first_content_timeout(Duration::MAX));
    assert!(send(&chain, chat_stream("m")).await.is_ok(), "a limit beyond all time is none");
}

// === after the commit ===

#[tokio::test(start_paused = true)]
async fn a_provider_that_cuts_every_stream_opens_its_breaker() {
    let hub = Events::new();
    let (chain, calls) = chain_of(&[events(&[TEXT], Then::Ends), events(&[TEXT, STOP], Then::Ends)], |it| {
        let policy = BreakerPolicy::default().consecutive(3).open_for(LIMIT, 8 * LIMIT);
        it.breaker(policy).events(&hub)
    });
    let mut heard = hub.subscribe();
    for _ in 0..3 {
        assert!(ask(&chain).await.is_err());
    }
    for _ in 0..3 {
        assert!(ask(&chain).await.is_ok());
    }
    assert_eq!(calls_of(&calls), [3, 3], "the first is left alone");
    tokio::time::advance(LIMIT).await;
    assert!(ask(&chain).await.is_err(), "the probe's stream is cut");
    assert!(ask(&chain).await.is_ok(), "and opens it again at once");
    tokio::time::advance(LIMIT).await;
    assert!(ask(&chain).await.is_ok(), "for twice as long");
    assert_eq!(calls_of(&calls), [4, 5]);
    let mut opened = 0;
    while let Some(Ok(event)) = futures_util::FutureExt::now_or_never(heard.next()).flatten() {
        opened += usize::from(matches!(event.kind, EventKind::BreakerOpened { .. }));
    }
    assert_eq!(opened, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_commit_is_reported() {
    let cases = [
        (events(&[TEXT], Then::Ends), StreamErrorKind::Truncated),
        (events(&[TEXT], Then::Breaks), StreamErrorKind::Broken),
        (events(&[TEXT], Then::Stays), StreamErrorKind::Idle),
        (events(&[TEXT, "data: {\"a\n\n", STOP], Then::Ends), StreamErrorKind::Malformed),
        (events(&[TEXT, "data: {\"error\":{\"message\":\"x\"}}\n\n"], Then::Ends), StreamErrorKind::Failed),
        (json(&["RIFF"], Then::Breaks).header("content-type", "audio/wav"), StreamErrorKind::Broken),
    ];
    for (reply, kind) in cases {
        let pool = pool(&["a"]);
        let mut heard = pool.subscribe();
        let link = KeyRotationLayer::new(pool).layer(upstream(reply, Arc::default()));
        let chain: Chain = ProviderFallbackLayer::new("0").idle_timeout(LIMIT).layer(link);
        let response = send(&chain, chat_stream("gpt-x")).await.unwrap();
        let served = response.extensions().get::<Served>().unwrap().clone();
        assert_eq!(served.stream_error(), None);
        assert!(response.into_body().collect().await.is_err());
        assert_eq!(served.stream_error(), Some(kind));
        let failed = loop {
            if let EventKind::StreamFailed { key, model, reason, .. } =
                heard.next().await.unwrap().unwrap().kind
            {
                break (key, model, reason);
            }
        };
        assert_eq!(failed.0.unwrap().as_str(), "a");
        assert_eq!(failed.1.unwrap().as_str(), "gpt-x");
        assert_eq!(failed.2, kind.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_body_is_no_failure() {
    let hub = Events::new();
    let (chain, calls) = chain_of(&[events(&[TEXT, STOP], Then::Stays)], |it| {
        it.breaker(BreakerPolicy::default().consecutive(1)).events(&hub)
    });
    let mut heard = hub.subscribe();
    for read in [1, 2, 5] {
        let response = send(&chain, chat_stream("m")).await.unwrap();
        let served = response.extensions().get::<Served>().unwrap().clone();
        let mut body = response.into_body();
        for _ in 0..read {
            body.frame().await.transpose().unwrap();
        }
        drop(body);
        assert_eq!(served.stream_error(), None);
    }
    assert_eq!(calls_of(&calls), [3]);
    assert!(futures_util::FutureExt::now_or_never(heard.next()).is_none(), "nothing is said");
}

#[tokio::test(start_paused = true)]
async fn a_link_without_keys_reports_its_end() {
    let hub = Events::new();
    let mut heard = hub.subscribe();
    let bare = upstream(events(&[TEXT], Then::Ends), Arc::default());
    let chain: ProviderFallback<Upstream, Raw> = ProviderFallbackLayer::new("bare")
        .breaker(BreakerPolicy::default().consecutive(1))
        .events(&hub)
        .layer(bare);
    assert!(send(&chain, chat_stream("m")).await.unwrap().into_body().collect().await.is_err());
    let said = [heard.next().await.unwrap().unwrap(), heard.next().await.unwrap().unwrap()];
    assert!(matches!(said[0].kind, EventKind::StreamFailed { key: None, reason: "truncated", .. }));
    assert!(matches!(said[1].kind, EventKind::BreakerOpened { .. }));
    assert_eq!(&*said[0].provider, "bare");
}

// === replies ===

fn json(frames: &[&'static str], then: Then) -> Reply {
    let headers = vec![("content-type", "application/json")];
    Reply { status: 200, headers, frames: frames.to_vec(), then }
}

fn events(frames: &[&'static str], then: Then) -> Reply {
    json(frames, then).header("content-type", "text/event-stream")
}

impl Reply {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn respond(self) -> Response<Raw> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let frames = stream::iter(self.frames).map(|text| Ok(Frame::data(Bytes::from(text))));
        let rest = match self.then {
            Then::Ends => stream::empty().boxed(),
            Then::Breaks => stream::iter([Err::<_, BoxError>("reset".into())]).boxed(),
            Then::Stays => stream::pending().boxed(),
            Then::Pings => stream::repeat(": ping\n\n")
                .then(|ping| async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(Frame::data(Bytes::from(ping)))
                })
                .boxed(),
        };
        response.body(StreamBody::new(frames.chain(rest)).boxed_unsync()).unwrap()
    }
}

fn upstream(reply: Reply, calls: Arc<AtomicUsize>) -> Upstream {
    BoxCloneSyncService::new(service_fn(move |request: Request<ReplayBody>| {
        let (reply, calls) = (reply.clone(), Arc::clone(&calls));
        async move {
            calls.fetch_add(1, Ordering::Relaxed);
            request.into_body().collect().await?;
            Ok::<_, BoxError>(reply.respond())
        }
    }))
}

/// A chain whose links are named by their numbers.
fn chain_of(replies: &[Reply], settings: impl FnOnce(Layered) -> Layered) -> (Chain, Vec<Arc<AtomicUsize>>) {
    let calls: Vec<Arc<AtomicUsize>> = replies.iter().map(|_| Arc::default()).collect();
    let link = |number: usize| -> Link {
        let pool: KeyPool = pool(&["a"]);
        KeyRotationLayer::new(pool).layer(upstream(replies[number].clone(), Arc::clone(&calls[number])))
    };
    let first = ProviderFallbackLayer::new("0").idle_timeout(LIMIT);
    let layer = (1..replies.len())
        .fold(first, |layer, number| layer.fallback(number.to_string(), link(number), Route::new()));
    (ServiceBuilder::new().layer(settings(layer)).service(link(0)), calls)
}

fn calls_of(calls: &[Arc<AtomicUsize>]) -> Vec<usize> {
    calls.iter().map(|calls| calls.load(Ordering::Relaxed)).collect()
}

/// Requests a stream, and reads it to its end.
async fn ask(chain: &Chain) -> Result<Bytes, BoxError> {
    Ok(send(chain, chat_stream("m")).await?.into_body().collect().await?.to_bytes())
}

fn within(began: Instant, limit: Duration) -> bool {
    (Instant::now() - began).abs_diff(limit) <= Duration::from_millis(5)
}
