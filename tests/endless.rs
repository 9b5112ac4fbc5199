//! Upstreams that never stop, over sockets: preambles, keep-alives, error bodies, and events after the end.
//! With time limits set, no request takes longer than they allow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use raw::{HeldClock, LAST_CHUNK, Raw, STREAM, Step, chunk, event, json};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};
use tower_key_rotation::body::{ReplayBody, ResponseBody, StreamError};
use tower_key_rotation::classify::Reason;
use tower_key_rotation::fallback::{Commit, ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, Provider, StopReason};

const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
const CONTENT: &str = r#"{"choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const EMPTY: &str = r#"{"choices":[{"index":0,"delta":{}}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
const IN_PROGRESS: &str = r#"{"type":"response.in_progress","response":{"id":"resp_1"}}"#;
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const COMMENT: &str = ": ping\n\n";

/// The time limit for the first content, and for a pause.
const LIMIT: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(300);
/// Tolerance, because the clock is advanced by a tenth of a second at a time.
const SLACK: Duration = Duration::from_secs(1);

type Http = Client<HttpConnector, ReplayBody>;
type Chain = ProviderFallback<KeyRotation<Http>, ResponseBody<Incoming>>;

#[tokio::test(start_paused = true)]
async fn a_large_preamble_times_out() {
    let _clock = HeldClock::new();
    let padding = format!(": {}\n\n", "x".repeat(1_000));
    for flood in [
        chunk(&COMMENT.repeat(20_000)),
        chunk(PING).repeat(300),
        event(ROLE).repeat(300),
        event(IN_PROGRESS).repeat(300),
        chunk(&padding).repeat(100),
        chunk(&format!("data: {{\"choices\":\"{}", "x".repeat(100_000))),
    ] {
        let first = Raw::serving([Step::send([STREAM, &flood].concat()), Step::Outlast]).await;
        let second = well().await;
        let (response, took) = ask(&chain(&first, Some(&second))).await;
        response.unwrap().into_body().collect().await.unwrap();
        assert!(took >= LIMIT && took < LIMIT + SLACK, "{took:?} of {:?}", &flood[..40]);
        assert_eq!((first.calls(), second.calls()), (1, 1), "{:?}", &flood[..40]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_preamble_above_the_cap_is_abandoned_at_once() {
    let _clock = HeldClock::new();
    let flood = chunk(&format!(": {}\n\n", "x".repeat(512 * 1024)));
    let first = Raw::serving([Step::send(STREAM), Step::Drip(flood.into())]).await;
    let second = well().await;
    let (response, took) = ask(&chain(&first, Some(&second))).await;
    response.unwrap().into_body().collect().await.unwrap();
    assert!(took < LIMIT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn keep_alives_do_not_keep_a_stream_forever() {
    let _clock = HeldClock::new();
    for (before, drip) in [
        ("", chunk(COMMENT)),
        ("", chunk(PING)),
        ("", event(EMPTY)),
        ("", event(USAGE)),
        ("", event(IN_PROGRESS)),
        ("", event("")),
        ("", chunk("event: ping\n")),
        ("data: {", chunk(": inside an event\n")),
    ] {
        let begun = [STREAM, &event(ROLE), &event(CONTENT), &chunk(&format!("{before}\n"))].concat();
        let first = Raw::serving([Step::send(begun), Step::Drip(drip.clone().into())]).await;
        let (response, _) = ask(&chain(&first, None)).await;
        let began = Instant::now();
        let error = response.unwrap().into_body().collect().await.unwrap_err();
        let took = Instant::now().saturating_duration_since(began);
        let idle = matches!(error.downcast_ref(), Some(StreamError::Idle(_) | StreamError::Malformed));
        assert!(idle, "{error} for {drip:?}");
        assert!(took < 11 * LIMIT + SLACK, "{took:?} for {drip:?}");
    }
}

/// Bytes that may be the beginning of the key are held back until more bytes come, or until it is clear that
/// none will.
#[tokio::test(start_paused = true)]
async fn the_last_bytes_before_a_stall_arrive() {
    let _clock = HeldClock::new();
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
    for tell in [false, true] {
        for (head, body) in [
            (STREAM, format!("data: {CONTENT}\n\ndata: {{\"choices\":\"s")),
            (json, "{\"choices\":[{\"message\":{\"content\":\"s".to_owned()),
        ] {
            let sent = if head == STREAM { chunk(&body) } else { body.clone() };
            let first = Raw::serving([Step::send([head, &sent].concat()), Step::Outlast]).await;
            let chain = to(&first).idle_timeout(LIMIT).error_events(tell);
            let chain = chain.layer(rotating(&first, 1).layer(client()));
            let mut body_of = ask_for(&chain, Commit::Head).await.0.unwrap().into_body();
            let mut got = Vec::new();
            while let Some(Ok(frame)) = body_of.frame().await {
                got.extend_from_slice(frame.data_ref().unwrap());
            }
            let got = String::from_utf8(got).unwrap();
            let told = got.strip_prefix(&body).unwrap_or_else(|| panic!("{got} of {body}"));
            let is_event = told.starts_with("\n\ndata: {\"error\"") && told.ends_with("\n\n");
            assert_eq!(is_event, tell && head == STREAM, "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn content_between_keep_alives_keeps_a_stream() {
    let clock = HeldClock::new();
    drop(clock);
    let quiet = [Step::Send(chunk(PING).into()), Step::Pause(LIMIT / 2)];
    let mut script = vec![Step::send([STREAM, &event(CONTENT)].concat())];
    for _ in 0..6 {
        script.extend(quiet.iter().cycle().take(16).cloned());
        script.push(Step::send(event(CONTENT)));
    }
    script.push(Step::send([&event(END), &event("[DONE]"), LAST_CHUNK].concat()));
    let first = Raw::serving(script).await;
    let (response, _) = ask(&chain(&first, None)).await;
    response.unwrap().into_body().collect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_keeps_a_finished_stream_open() {
    let _clock = HeldClock::new();
    for commit in [Commit::FirstContent, Commit::Complete] {
        for (end, drip) in [
            (event(END), chunk(COMMENT)),
            (event(END), event(USAGE)),
            (event("[DONE]"), chunk(COMMENT)),
            (event("[DONE]"), event(CONTENT)),
            (event("[DONE]"), chunk("\n")),
            (event("[DONE]"), event(r#"{"error":{"message":"what now?"}}"#)),
            (event("[DONE]"), event(r#"{"choi"#)),
        ] {
            let begun = [STREAM, &event(CONTENT), &end].concat();
            let first = Raw::serving([Step::send(begun), Step::Drip(drip.clone().into())]).await;
            let began = Instant::now();
            let (response, _) = ask_for(&chain(&first, None), commit).await;
            response.unwrap().into_body().collect().await.unwrap();
            let took = Instant::now().saturating_duration_since(began);
            assert!(took < LIMIT / 2, "{took:?} for {drip:?} after {end:?}, {commit:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_end_before_its_length() {
    let _clock = HeldClock::new();
    for commit in [Commit::Head, Commit::FirstContent, Commit::Complete] {
        let stream = format!("data: {CONTENT}\n\ndata: {END}\n\ndata: [DONE]\n\n");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 2000\r\n\r\n";
        let first = Raw::serving([Step::send([head, &stream].concat()), Step::Outlast]).await;
        let (response, _) = ask_for(&chain(&first, None), commit).await;
        let (head, body) = response.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(body, stream, "{commit:?}");
        let length = head.headers.get(CONTENT_LENGTH);
        assert!(length.is_none(), "a server would cut the stream: {length:?}, {commit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_response_without_an_end_ends_at_the_deadline() {
    let _clock = HeldClock::new();
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
    for piece in [1, 100_000] {
        let drip = chunk(&"x".repeat(piece));
        let first = Raw::serving([Step::send(head), Step::Drip(drip.into())]).await;
        let layer = rotating(&first, 1).deadline(DEADLINE).layer(client());
        let began = Instant::now();
        let of_chain = ask(&chain(&first, None)).await.0.unwrap();
        assert_eq!(of_chain.status(), 400);
        of_chain.into_body().collect().await.unwrap_err();
        let of_layer = layer.oneshot(request(&first)).await.unwrap();
        assert_eq!(of_layer.status(), 400);
        of_layer.into_body().collect().await.unwrap_err();
        assert!(
            Instant::now().saturating_duration_since(began) < 2 * (DEADLINE + SLACK),
            "{:?}",
            Instant::now().saturating_duration_since(began)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_key_does_not_wait_for_the_rest_of_a_refusal() {
    let _clock = HeldClock::new();
    let refused =
        "HTTP/1.1 429 X\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"error\":";
    let refused = vec![Step::send(refused), Step::Outlast];
    let served = vec![Step::send(json(200, r#"{"choices":[]}"#))];
    let first = Raw::each([refused, served]).await;
    let layer = to(&first).first_content_timeout(DEADLINE).deadline(DEADLINE * 2);
    let (response, took) = ask(&layer.layer(rotating(&first, 2).layer(client()))).await;
    assert_eq!(response.unwrap().status(), 200);
    assert!(took <= KeyRotationLayer::PEEK_TIME + SLACK, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_costs_no_call() {
    let first = Raw::serving([Step::send(json(200, "{}"))]).await;
    for deadline in [Duration::ZERO] {
        let alone = rotating(&first, 1).deadline(deadline).layer(client());
        alone.oneshot(request(&first)).await.unwrap_err();
        let layer = to(&first).deadline(deadline);
        ask(&layer.layer(rotating(&first, 1).layer(client()))).await.0.unwrap_err();
        let keyless = to(&first).deadline(deadline).layer(client());
        ask(&keyless).await.0.unwrap_err();
    }
    for set in [true, false] {
        let mut late = request(&first);
        let past = Instant::now().checked_sub(Duration::from_millis(1)).unwrap_or_else(Instant::now);
        late.extensions_mut().insert(tower_key_rotation::Deadline::at(past));
        let alone = rotating(&first, 1).layer(client());
        if set {
            alone.oneshot(late).await.unwrap_err();
        } else {
            to(&first).layer(alone).oneshot(late).await.unwrap_err();
        }
    }
    assert_eq!(first.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_while_held_back_is_an_attempt() {
    let _clock = HeldClock::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let first = Raw::serving([Step::send(head), Step::Drip(chunk(" ").into())]).await;
    let (response, took) = ask(&chain(&first, None)).await;
    let Error::AllProvidersFailed(failed) = response.unwrap_err() else { panic!("no chain") };
    assert!(took <= DEADLINE + SLACK, "{took:?}");
    assert!(failed.deadline_passed() && failed.may_have_run());
    let attempts: Vec<_> = failed.attempts().collect();
    assert_eq!(attempts.len(), 1, "{failed}");
    assert_eq!(attempts[0].fault.reason(), Reason::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_retry_without_time_is_not_made() {
    let first = Raw::serving([Step::send(json(503, r#"{"error":{"message":"overloaded"}}"#))]).await;
    let layer = rotating(&first, 1).backoff(LIMIT, LIMIT).deadline(LIMIT / 2).layer(client());
    let began = Instant::now();
    let Error::AllKeysFailed(failed) = layer.oneshot(request(&first)).await.unwrap_err() else { panic!() };
    assert!(
        Instant::now().saturating_duration_since(began) < SLACK,
        "{:?}",
        Instant::now().saturating_duration_since(began)
    );
    assert_eq!((failed.stop_reason(), failed.attempts().len()), (StopReason::ProviderFault, 1));
    assert!(failed.into_last_response().is_some());
}

fn chain(first: &Raw, second: Option<&Raw>) -> Chain {
    let layer = to(first)
        .head_timeout(LIMIT)
        .first_content_timeout(LIMIT)
        .idle_timeout(LIMIT)
        .deadline(DEADLINE)
        .backoff(Duration::ZERO, Duration::ZERO);
    let layer = match second {
        Some(second) => {
            let route = Route::to(&format!("{}/v1", second.origin())).unwrap();
            layer.fallback("second", rotating(second, 1).layer(client()), route)
        }
        None => layer,
    };
    layer.layer(rotating(first, 1).layer(client()))
}

fn rotating(upstream: &Raw, keys: usize) -> KeyRotationLayer {
    let keys = (0..keys).map(|key| ApiKey::new(support::secret(&key.to_string())).unwrap());
    let provider = Provider::openai().with_origin(upstream.origin().parse().unwrap());
    KeyRotationLayer::new(KeyPool::builder(provider).keys(keys).build().unwrap())
}

fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn well() -> Raw {
    let served = [ROLE, CONTENT, END, "[DONE]"].map(event).concat();
    Raw::serving([Step::send([STREAM, &served, LAST_CHUNK].concat())]).await
}

/// A chain without limits whose first link goes to an upstream.
fn to<B>(upstream: &Raw) -> ProviderFallbackLayer<B> {
    ProviderFallbackLayer::new("first").route(Route::to(&format!("{}/v1", upstream.origin())).unwrap())
}

fn request(upstream: &Raw) -> Request<Full<Bytes>> {
    Request::post(format!("{}/v1/chat/completions", upstream.origin()))
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"m","messages":[],"stream":true}"#))
        .unwrap()
}

/// Returns the response, and the time that it took.
async fn ask<S, B>(chain: &S) -> (Result<Response<B>, Error>, Duration)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Error> + Clone,
{
    ask_for(chain, Commit::FirstContent).await
}

async fn ask_for<S, B>(chain: &S, commit: Commit) -> (Result<Response<B>, Error>, Duration)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Error> + Clone,
{
    let mut request = Request::post("http://llm.test/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"m","messages":[],"stream":true}"#))
        .unwrap();
    request.extensions_mut().insert(commit);
    let began = Instant::now();
    let response = chain.clone().oneshot(request).await;
    (response, Instant::now().saturating_duration_since(began))
}
