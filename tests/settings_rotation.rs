//! Every setting of `KeyRotationLayer` changes the behaviour of the layer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/settings.rs"]
mod settings;
mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use support::{all_keys_failed, chat, key, openai, pool, send, served, streamed};
use tokio::time::{Instant, sleep};
use tower::{BoxError, Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::Reason;
use tower_key_rotation::key::ChosenKey;
use tower_key_rotation::limits::{Estimate, Quota};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, Deadline, KeyPool, KeyRotationLayer, Provider, RetryBudget, StopReason};
use tower_key_rotation_sim::{Script, SimFault, SimKey, Simulator};

settings::settings!("KeyRotationLayer":
    max_attempts, max_retries, backoff, retry_budget, head_timeout, deadline, resend_ambiguous, wait_for_key,
    keep_accept_encoding, estimate_with, replay_cap, error_body, peek, error_events, tell_key,
);

const SECOND: Duration = Duration::from_secs(1);
const LABELS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

async fn max_attempts() {
    for (setting, calls, stop_reason) in
        [(None, 5, StopReason::Exhausted), (Some(2), 2, StopReason::AttemptLimit)]
    {
        let sim = simulated(5, Script::always(SimFault::rate_limited(60 * SECOND)));
        let service = rotating(&sim, 5, |layer| match setting {
            Some(attempts) => layer.max_attempts(attempts),
            None => layer,
        });
        let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
        assert_eq!((sim.calls(), failed.stop_reason()), (calls, stop_reason));
    }
}

async fn max_retries() {
    for (retries, calls) in [(0, 1), (1, 2), (3, 4)] {
        let sim = simulated(6, Script::always(SimFault::status(500)));
        let service = rotating(&sim, 6, |layer| layer.max_retries(retries));
        let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
        assert_eq!((sim.calls(), failed.stop_reason()), (calls, StopReason::ProviderFault));
    }
}

async fn backoff() {
    for (setting, shortest, longest) in
        [(None, 100, 500), (Some((2_000, 3_000)), 2_000, 3_000), (Some((4_000, 1_000)), 4_000, 4_000)]
    {
        let sim = simulated(1, Script::new().then(SimFault::status(500)));
        let service = rotating(&sim, 1, |layer| match setting {
            Some((least, longest)) => layer.backoff(ms(least), ms(longest)),
            None => layer,
        });
        let began = Instant::now();
        send(&service, chat("m")).await.unwrap();
        let took = Instant::now().saturating_duration_since(began);
        assert!((ms(shortest)..=ms(longest + 2)).contains(&took), "{setting:?}: {took:?}");
    }
}

async fn retry_budget() {
    for (budget, calls) in [(RetryBudget::default(), 2), (RetryBudget::new(0.0, 0, SECOND), 1)] {
        let sim = simulated(2, Script::always(SimFault::status(500)));
        let service = rotating(&sim, 2, |layer| layer.retry_budget(budget));
        send(&service, chat("m")).await.unwrap_err();
        assert_eq!(sim.calls(), calls);
    }
}

async fn head_timeout() {
    let sim = simulated(2, Script::new().then(SimFault::Silent));
    let service = rotating(&sim, 2, |layer| layer.head_timeout(3 * SECOND));
    let began = Instant::now();
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    assert_eq!(ms_since(began), 3_000);
    let [attempt] = failed.attempts() else { panic!("{failed}: it may have run") };
    assert_eq!(attempt.fault.reason(), Reason::Timeout);
    assert!(attempt.fault.may_have_run());
}

async fn deadline() {
    let sim = simulated(1, Script::always(SimFault::Silent));
    let service = rotating(&sim, 1, |layer| layer.deadline(4 * SECOND));
    let began = Instant::now();
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    assert_eq!((ms_since(began), failed.stop_reason()), (4_000, StopReason::Deadline));

    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + SECOND));
    let began = Instant::now();
    send(&service, request).await.unwrap_err();
    assert_eq!(ms_since(began), 1_000, "the deadline of the request, if it is earlier");
}

async fn resend_ambiguous() {
    for (resend, calls) in [(false, 1), (true, 2)] {
        let sim = simulated(2, Script::new().then(SimFault::Reset));
        let service = rotating(&sim, 2, |layer| layer.resend_ambiguous(resend));
        assert_eq!(send(&service, chat("m")).await.is_ok(), resend);
        assert_eq!(sim.calls(), calls);
    }
}

async fn wait_for_key() {
    for (wait, limit, served) in [(false, 60, false), (true, 60, true), (true, 8, false)] {
        let sim = simulated(1, Script::new().then(SimFault::rate_limited(10 * SECOND)));
        let service = rotating(&sim, 1, |layer| layer.wait_for_key(wait).deadline(limit * SECOND));
        let began = Instant::now();
        assert_eq!(send(&service, chat("m")).await.is_ok(), served, "{wait} {limit}");
        assert_eq!(ms_since(began) / 1_000, if served { 10 } else { 0 });
    }
}

async fn keep_accept_encoding() {
    for keep in [false, true] {
        let client = service_fn(move |request: Request<ReplayBody>| async move {
            assert_eq!(request.headers().contains_key(header::ACCEPT_ENCODING), keep);
            Ok::<_, BoxError>(Response::new(body(&[])))
        });
        let layer = KeyRotationLayer::new(pool(&["a"])).keep_accept_encoding(keep);
        let mut request = chat("m");
        request.headers_mut().insert(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
        assert!(send(&layer.layer(client), request).await.is_ok());
    }
}

/// Until a response has been read, its request counts as estimated.
async fn estimate_with() {
    for (tokens, both) in [(50, true), (600, false)] {
        let sim = simulated(1, Script::new());
        let pool = KeyPool::builder(support::at_sim(Provider::openai()));
        let key = ApiKey::new(support::secret("a")).unwrap();
        let pool = pool.key(key).quota(Quota::tokens(1_000).per_day()).build().unwrap();
        let layer =
            KeyRotationLayer::new(pool).estimate_with(move |_, _| Estimate::new().input_tokens(tokens));
        let service = layer.layer(sim.clone());
        let _unread = send(&service, chat("m")).await.unwrap();
        assert_eq!(send(&service, chat("m")).await.is_ok(), both, "{tokens}");
    }
}

async fn replay_cap() {
    for (cap, calls) in [(1_000, 2), (8, 1)] {
        let sim = simulated(2, Script::new().then(SimFault::rate_limited(SECOND)));
        let service = rotating(&sim, 2, |layer| layer.replay_cap(cap));
        let body = streamed(&[r#"{"model":"m","#, r#""messages":[{"role":"user","#, r#""content":"hi"}]}"#]);
        let request = Request::post(chat("m").uri()).header("content-type", "application/json").body(body);
        assert_eq!(send(&service, request.unwrap()).await.is_ok(), calls == 2, "{cap}");
        assert_eq!(sim.calls(), calls);
    }
}

async fn error_body() {
    for (bytes, reason) in [(1_000, Reason::QuotaExceeded), (8, Reason::RateLimited)] {
        let frames = [(0, "               "), (0, r#"{"error":{"type":"insufficient_quota"}}"#)];
        let client = service_fn(move |_: Request<ReplayBody>| async move {
            Ok::<_, BoxError>(Response::builder().status(429).body(body(&frames))?)
        });
        let service = KeyRotationLayer::new(pool(&["a"])).error_body(bytes).layer(client);
        let failed = all_keys_failed(send(&service, chat("m")).await.map(drop).unwrap_err());
        assert_eq!(failed.last_reason(), Some(reason), "{bytes}");
    }
}

/// The first key sends preambles and then an error, which is found if the limits allow reading that far.
async fn peek() {
    const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    const ERROR: &str = "data: {\"error\":{\"type\":\"server_error\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    for (bytes, events, seconds, found) in [
        (100_000, 1_000, 60, true),
        (100_000, 3, 60, true),
        (100_000, 2, 60, false),
        (3, 1_000, 60, false),
        (300, 1_000, 60, true),
        (100_000, 1_000, 4, false),
    ] {
        let client = service_fn(move |request: Request<ReplayBody>| async move {
            let first = request.headers()[header::AUTHORIZATION].as_bytes().ends_with(b"-a");
            let content = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
            let frames = if first { [(0, ROLE), (0, ROLE), (5, ERROR)] } else { [(0, content); 3] };
            Ok::<_, BoxError>(
                Response::builder().header("content-type", "text/event-stream").body(body(&frames))?,
            )
        });
        let layer = KeyRotationLayer::new(pool(&["a", "b"])).peek(bytes, events, seconds * SECOND);
        let response = send(&layer.layer(client), chat("m")).await.unwrap();
        let by = if found { "b" } else { "a" };
        assert_eq!(served(&response).key_id().as_str(), by, "{bytes} bytes, {events} events, {seconds} s");
    }
}

async fn error_events() {
    let sim = simulated(1, Script::always(SimFault::Cut { after: 3, reset: true }));
    for tell in [false, true] {
        let service = rotating(&sim, 1, |layer| layer.error_events(tell));
        let mut body = send(&service, support::chat_stream("m")).await.unwrap().into_body();
        let mut last = Bytes::new();
        while let Some(Ok(frame)) = body.frame().await {
            last = frame.into_data().unwrap();
        }
        assert_eq!(last.starts_with(b"data: {\"error\":"), tell, "{last:?}");
    }
}

async fn tell_key() {
    for tell in [false, true] {
        let client = service_fn(move |request: Request<ReplayBody>| async move {
            let key = request.extensions().get::<ChosenKey>().map(|key| key.id().to_string());
            assert_eq!(key.as_deref(), tell.then_some("a"));
            Ok::<_, BoxError>(Response::new(http_body_util::Full::<Bytes>::default()))
        });
        let service = KeyRotationLayer::new(pool(&["a"])).tell_key(tell).layer(client);
        send(&service, chat("m")).await.unwrap();
    }
}

// === the layer and what it wraps ===

fn simulated(keys: usize, script: Script) -> Simulator {
    let sim = openai(LABELS[..keys].iter().map(|label| key(label)).collect::<Vec<SimKey>>());
    sim.script(script);
    sim
}

fn rotating(
    sim: &Simulator,
    keys: usize,
    settings: impl FnOnce(KeyRotationLayer) -> KeyRotationLayer,
) -> KeyRotation<Simulator> {
    settings(KeyRotationLayer::new(pool(&LABELS[..keys]))).layer(sim.clone())
}

/// A body of frames, each after this number of seconds.
fn body(frames: &[(u64, &'static str)]) -> impl Body<Data = Bytes, Error = Infallible> + Send + use<> {
    let frames = stream::iter(frames.to_vec()).then(|(seconds, frame)| async move {
        sleep(Duration::from_secs(seconds)).await;
        Ok(Frame::data(Bytes::from_static(frame.as_bytes())))
    });
    StreamBody::new(Box::pin(frames))
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ms_since(began: Instant) -> u64 {
    u64::try_from(Instant::now().saturating_duration_since(began).as_millis()).unwrap()
}
