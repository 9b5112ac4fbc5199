//! Malformed responses and requests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;
use support::{all_keys_failed, chat, pool, received, send, served, streamed};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::{Reason, Verdict};
use tower_key_rotation::fallback::Commit;
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{Error, KeyRotationLayer, ProviderFallbackLayer, RespondLayer, StopReason};

type UpstreamResponse = Response<UnsyncBoxBody<Bytes, BoxError>>;

#[tokio::test(start_paused = true)]
async fn every_error_body_is_delivered_whole() {
    let huge = vec![b'x'; 10 * 1024 * 1024];
    let bodies: [&[u8]; 8] = [
        b"",
        b"{\"error\":{\"mess",
        b"<html><head><title>400</title></head></html>",
        &huge,
        &[0xff, 0xfe, 0x00, 0xc3, 0x28],
        b"[{\"error\":{\"code\":400}}]",
        b"null",
        b"\xef\xbb\xbf{\"error\":\"bom\"}",
    ];
    for body in bodies {
        let pool = pool(&["a", "b"]);
        let client = answering([answer(400, body)]);
        let response = send(&KeyRotationLayer::new(pool.clone()).layer(client), chat("m")).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
        assert!(pool.snapshot().keys.iter().all(|key| key.state == KeyState::Available));
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_beside_chunks_or_another_length_is_removed() {
    let statuses = [200, 400, 429, 503].into_iter();
    for (status, chunks, length) in
        statuses.flat_map(|it| [(it, true, "1"), (it, false, "2, 2"), (it, false, "2")])
    {
        let both = || {
            let mut response = answer(status, b"{}");
            if chunks {
                response.headers_mut().insert("transfer-encoding", HeaderValue::from_static("chunked"));
            }
            response.headers_mut().append("content-length", HeaderValue::from_static(length));
            if !chunks {
                response.headers_mut().append("content-length", HeaderValue::from_static("2"));
            }
            response
        };
        let rotation = KeyRotationLayer::new(pool(&["a"]));
        let alone = RespondLayer::new().layer(rotation.layer(answering([both(), both()])));
        let chain = ProviderFallbackLayer::new("only");
        let chained = RespondLayer::new().layer(chain.layer(answering([both(), both()])));
        for response in [alone.oneshot(chat("m")).await.unwrap(), chained.oneshot(chat("m")).await.unwrap()] {
            let lengths: Vec<_> = response.headers().get_all("content-length").iter().cloned().collect();
            let whole = response.into_body().collect().await.unwrap().to_bytes();
            let is_true = lengths.iter().all(|length| length == whole.len().to_string().as_str());
            assert!(is_true && lengths.len() < 2, "{status}: {lengths:?}");
        }
    }
}

/// A response without a body is no stream that was cut.
#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_is_delivered() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("POST", 204), ("DELETE", 205)] {
        for commit in Commit::ALL {
            let calls = Arc::new(Mutex::new(0));
            let client = || {
                let calls = Arc::clone(&calls);
                service_fn(move |_: Request<ReplayBody>| {
                    *calls.lock().unwrap() += 1;
                    let response =
                        Response::builder().status(status).header("content-type", "text/event-stream");
                    std::future::ready(Ok::<_, BoxError>(response.body(Full::<Bytes>::default()).unwrap()))
                })
            };
            let request = || {
                let mut request = chat("m");
                *request.method_mut() = method.parse().unwrap();
                request.extensions_mut().insert(commit);
                request
            };
            let rotation = || KeyRotationLayer::new(pool(&["a", "b"])).layer(client());
            let alone = send(&rotation(), request()).await.unwrap();
            alone.into_body().collect().await.unwrap();
            let chain = ProviderFallbackLayer::new("x").layer(rotation());
            send(&chain, request()).await.unwrap().into_body().collect().await.unwrap();
            let keyless = ProviderFallbackLayer::new("x").layer(client());
            send(&keyless, request()).await.unwrap().into_body().collect().await.unwrap();
            assert_eq!(*calls.lock().unwrap(), 3, "{method} {status} {commit:?}");
        }
    }
}

/// Many streams panic if they are polled after their end.
#[tokio::test(start_paused = true)]
async fn a_body_is_not_polled_after_its_end() {
    for status in [400, 401, 404, 429, 503] {
        for pieces in [0, 1, 3] {
            let client = service_fn(move |_: Request<ReplayBody>| async move {
                let frames = stream::unfold(0, move |at| async move {
                    (at < pieces).then(|| (Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"{}"))), at + 1))
                });
                let body = StreamBody::new(Box::pin(frames));
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            });
            let service = RespondLayer::new().layer(KeyRotationLayer::new(pool(&["a"])).layer(client));
            let response = service.oneshot(chat("m")).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(matches!(status, 401 | 429) || body.len() == 2 * pieces, "{status}, {pieces} pieces");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_refusal_is_delivered_whole() {
    let mut body = br#"{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}"#.to_vec();
    body.resize(1024 * 1024, b' ');
    let service =
        RespondLayer::new().layer(KeyRotationLayer::new(pool(&["a"])).layer(answering([answer(429, &body)])));
    let response = service.oneshot(chat("m")).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
}

#[tokio::test(start_paused = true)]
async fn a_broken_error_body_ends_in_its_error() {
    let frames = [Ok(Frame::data(Bytes::from_static(b"half "))), Err(io::Error::other("gone").into())];
    let client = answering([streaming(400, "application/json", frames)]);
    let response = send(&KeyRotationLayer::new(pool(&["a"])).layer(client), chat("m")).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half ");
    assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn an_endless_error_body_is_classified() {
    let first =
        futures_util::stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"{\"error\":")))]);
    let endless = futures_util::StreamExt::chain(first, futures_util::stream::pending());
    let response = Response::builder().status(401).body(StreamBody::new(endless).boxed_unsync()).unwrap();
    let client = answering([response, answer(200, b"{}")]);
    let response = send(&KeyRotationLayer::new(pool(&["a", "b"])).layer(client), chat("m")).await.unwrap();
    assert_eq!(served(&response).attempts()[0].fault.reason(), Reason::InvalidKey);
    assert_eq!(served(&response).attempts()[0].duration, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn leaving_during_inspection_blames_no_key() {
    for (status, content_type) in [(200, "text/event-stream"), (401, "application/json")] {
        let first = futures_util::stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from_static(b": ")))]);
        let endless = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        let response = Response::builder().status(status).header("content-type", content_type);
        let client = answering([response.body(StreamBody::new(endless).boxed_unsync()).unwrap()]);
        let pool = pool(&["a"]);
        let service = KeyRotationLayer::new(pool.clone()).layer(client);
        let left = tokio::time::timeout(Duration::from_secs(1), send(&service, chat("m"))).await;
        assert!(left.is_err(), "it was still looking");
        let key = &pool.snapshot().keys[0];
        assert_eq!((key.state, key.faults), (KeyState::Available, 0), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn absurd_waits_never_lock_a_key_out() {
    for hint in [
        "-1",
        "0",
        "",
        " ",
        "NaN",
        "inf",
        "1e300",
        "99999999999999999999",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "tomorrow",
        "1,2",
        "0x10",
    ] {
        for name in ["retry-after", "retry-after-ms"] {
            let pool = pool(&["a"]);
            let (mut parts, body) = answer(429, b"").into_parts();
            parts.headers.append(name, hint.parse().unwrap());
            parts.headers.append(name, "also this".parse().unwrap());
            let client = answering([Response::from_parts(parts, body)]);
            let failed = all_keys_failed(
                send(&KeyRotationLayer::new(pool).layer(client), chat("m")).await.unwrap_err(),
            );
            let wait = failed.retry_after().expect("a rate limit ends");
            assert!(
                (Duration::from_millis(1)..=Duration::from_secs(600)).contains(&wait),
                "{name}: {hint}: {wait:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_compressed_refusal_is_classified_by_status() {
    let (mut parts, body) = answer(429, b"\x1f\x8b\x08rest").into_parts();
    parts.headers.insert("content-encoding", "gzip".parse().unwrap());
    let client = answering([Response::from_parts(parts, body), answer(200, b"{}")]);
    let response = send(&KeyRotationLayer::new(pool(&["a", "b"])).layer(client), chat("m")).await.unwrap();
    assert_eq!(served(&response).attempts()[0].fault.reason(), Reason::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn a_failing_request_body_blames_no_key() {
    let frames =
        [Ok(Frame::data(Bytes::from_static(b"{\"model\":"))), Err(io::Error::other("the disk is gone"))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let pool = pool(&["a", "b"]);
    let calls = Arc::new(Mutex::new(0));
    let client = {
        let calls = Arc::clone(&calls);
        service_fn(move |request: Request<ReplayBody>| {
            *calls.lock().unwrap() += 1;
            async move { received(request.into_body()).await.map(|_| answer(200, b"{}")) }
        })
    };
    let request = Request::post(format!("{}/v1/chat/completions", support::ORIGIN)).body(body).unwrap();
    let error = send(&KeyRotationLayer::new(pool.clone()).layer(client), request).await.unwrap_err();
    assert!(matches!(error, Error::Body(_)));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
    assert_eq!(*calls.lock().unwrap(), 1);
    assert!(pool.snapshot().keys.iter().all(|key| key.state == KeyState::Available && key.faults == 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_above_the_cap_has_one_attempt() {
    let client = |answers: [UpstreamResponse; 2]| {
        let answers = Mutex::new(VecDeque::from(answers));
        let answers = Arc::new(answers);
        service_fn(move |request: Request<ReplayBody>| {
            let answers = Arc::clone(&answers);
            async move {
                let body = received(request.into_body()).await?;
                assert_eq!(body, "{\"model\":\"m\",\"messages\":[]}");
                Ok::<_, BoxError>(answers.lock().unwrap().pop_front().unwrap())
            }
        })
    };
    let request = || {
        let body = streamed(&["{\"model\":\"m\",", "\"messages\":[]}"]);
        Request::post(format!("{}/v1/chat/completions", support::ORIGIN)).body(body).unwrap()
    };
    let answers = || [answer(429, b""), answer(200, b"{}")];

    let layer = KeyRotationLayer::new(pool(&["a", "b"]));
    let response = send(&layer.layer(client(answers())), request()).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "b");
    assert_eq!(served(&response).model().unwrap().as_str(), "m", "read from what was recorded");

    let pool = pool(&["a", "b"]);
    let layer = KeyRotationLayer::new(pool.clone()).replay_cap(10);
    let failed = all_keys_failed(send(&layer.layer(client(answers())), request()).await.unwrap_err());
    assert_eq!((failed.stop_reason(), failed.attempts().len()), (StopReason::NotReplayable, 1));
    assert_eq!(failed.into_response().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn a_giant_event_is_passed_on_without_being_held() {
    let giant = format!("data: {{\"x\":\"{}\"}}\n\ndata: [DONE]\n\n", "y".repeat(3 * 1024 * 1024));
    let frames: Vec<_> =
        giant.as_bytes().chunks(16 * 1024).map(|it| Ok(Frame::data(Bytes::copy_from_slice(it)))).collect();
    let client = answering([streaming(200, "text/event-stream", frames)]);
    let response = send(&KeyRotationLayer::new(pool(&["a"])).layer(client), chat("m")).await.unwrap();
    assert_eq!(*served(&response).verdict(), Verdict::Success);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), giant);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_keep_alives_are_enough_to_commit() {
    let pings = "event: ping\ndata: {\"type\":\"ping\"}\n\n".repeat(1_000);
    let frames: Vec<_> =
        pings.as_bytes().chunks(35).map(|it| Ok(Frame::data(Bytes::copy_from_slice(it)))).collect();
    let client = answering([streaming(200, "text/event-stream", frames)]);
    let response = send(&KeyRotationLayer::new(pool(&["a"])).layer(client), chat("m")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), pings);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However a stream is split, and whatever its line ends are, its bytes are delivered unchanged. A success that
    /// failed before its first content is not delivered at all.
    #[test]
    fn any_split_of_a_stream_gives_the_same_bytes(
        events in prop::collection::vec(prop_oneof![
            Just(": keep-alive"), Just("event: ping\ndata: {}"), Just("data: {\"choices\":[]}"),
            Just("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}"),
            Just("data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}"), Just("data: [DONE]"),
            Just("data: {\"error\":{\"code\":\"server_error\"}}"), Just("\u{feff}data: x"), Just("id: 1\nretry: 5"),
        ], 0..12),
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        cuts in prop::collection::vec(1_usize..40, 1..40),
        status in prop_oneof![Just(200_u16), Just(400)],
    ) {
        let text: String = events.iter().map(|event| format!("{}{line_end}{line_end}", event.replace('\n', line_end))).collect();
        let mut rest = text.as_bytes();
        let mut frames = Vec::new();
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            frames.push(Ok(Frame::data(Bytes::copy_from_slice(piece))));
            rest = left;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let out = runtime.block_on(async {
            let client = answering([streaming(status, "text/event-stream", frames)]);
            let layer = KeyRotationLayer::new(pool(&["a"])).max_retries(0);
            let service = RespondLayer::new().layer(layer.layer(client));
            let response = service.oneshot(chat("m")).await.unwrap();
            let given_up = response.status().is_server_error();
            (given_up, response.into_body().collect().await.unwrap().to_bytes())
        });
        match out {
            (true, _) => prop_assert_eq!(status, 200),
            (false, out) => prop_assert_eq!(out, text),
        }
    }
}

/// A client that returns these responses in turn.
fn answering<const N: usize>(
    answers: [UpstreamResponse; N],
) -> impl tower::Service<Request<ReplayBody>, Response = UpstreamResponse, Error = Infallible, Future: Send>
+ Clone
+ Send {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    service_fn(move |_| {
        let answer = answers.lock().unwrap().pop_front().expect("no more calls than answers");
        async move { Ok(answer) }
    })
}

fn answer(status: u16, body: &[u8]) -> UpstreamResponse {
    let body = Full::from(Bytes::copy_from_slice(body)).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

fn streaming(
    status: u16,
    content_type: &str,
    frames: impl IntoIterator<Item = Result<Frame<Bytes>, BoxError>>,
) -> UpstreamResponse {
    let frames: Vec<_> = frames.into_iter().collect();
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    Response::builder().status(status).header("content-type", content_type).body(body).unwrap()
}
