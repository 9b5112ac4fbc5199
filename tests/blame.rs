//! The key or provider that is blamed for a failure, and for how long: in one layer and in a chain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use support::{Captured, all_keys_failed, chat, key, openai, pool, rotating, send, served};
use tokio::time::{Instant, advance};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::classify::{Fault as Blame, Reason, Rejection, Scope, Verdict};
use tower_key_rotation::event::EventKind;
use tower_key_rotation::fallback::{AllProvidersFailed, ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Deadline, Error, KeyRotationLayer, Served};
use tower_key_rotation_sim::{Refusal, Script, SimBody, SimFault, SimKey, Simulator};

type Chain = ProviderFallback<KeyRotation<Simulator>, ResponseBody<SimBody>>;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LABELS: [&str; 18] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"];

// === one layer ===

#[tokio::test(start_paused = true)]
async fn each_key_cools_down_for_its_own_hint() {
    let script = [9, 107, 4]
        .into_iter()
        .fold(Script::new(), |script, seconds: u32| script.then(SimFault::rate_limited(seconds * SECOND)));
    let service = rotating(&pool(&["a"]), &openai([key("a").script(script)]));
    for seconds in [9, 107, 4] {
        let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
        assert_eq!(failed.retry_after(), Some(seconds * SECOND));
        advance(seconds * SECOND).await;
    }
    assert!(send(&service, chat("m")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_error_names_every_attempt_with_its_own_reason() {
    let sim = openai([
        key("a").script(Script::always(SimFault::rate_limited(SECOND))),
        key("b").revoked(),
        key("c").out_of_credit(),
        key("d").script(Script::always(SimFault::overloaded())),
    ]);
    let service = KeyRotationLayer::new(pool(&LABELS[..4])).max_retries(0).layer(sim);
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    let of = |attempt: &tower_key_rotation::rotate::Attempt| {
        (attempt.key.as_ref().unwrap().to_string(), attempt.status.unwrap().as_u16(), attempt.fault.reason())
    };
    let attempts: Vec<_> = failed.attempts().iter().map(of).collect();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(str::to_owned);
    assert_eq!(
        attempts,
        [
            (a, 429, Reason::RateLimited),
            (b, 401, Reason::InvalidKey),
            (c, 429, Reason::QuotaExceeded),
            (d, 503, Reason::Overloaded),
        ]
    );
    assert_eq!(failed.into_response().status(), StatusCode::SERVICE_UNAVAILABLE, "the last, not the first");
}

#[tokio::test(start_paused = true)]
async fn bad_keys_up_to_the_cap_hide_no_good_one() {
    let cap = KeyRotationLayer::MAX_ATTEMPTS;
    let sim = openai(LABELS[..cap].iter().map(|label| match *label {
        "p" => key("p"),
        bad => key(bad).revoked(),
    }));
    let response = send(&rotating(&pool(&LABELS[..cap]), &sim), chat("m")).await.unwrap();
    assert_eq!((served(&response).key_id().as_str(), served(&response).attempts().len()), ("p", cap - 1));
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_rotates_alike() {
    let endpoints = [
        (Method::POST, "/v1/chat/completions"),
        (Method::POST, "/v1/responses"),
        (Method::POST, "/v1/embeddings"),
        (Method::POST, "/v1/images/generations"),
        (Method::POST, "/v1/audio/transcriptions"),
        (Method::GET, "/v1/models"),
        (Method::DELETE, "/v1/files/1"),
        (Method::POST, "/v1/what/comes/next"),
    ];
    for (method, path) in endpoints {
        let bad = format!("Bearer {}", support::secret("a"));
        let client = service_fn(move |request: Request<ReplayBody>| {
            let limited = request.headers()["authorization"] == *bad;
            let answer = Response::builder().status(if limited { 429 } else { 200 });
            async move { Ok::<_, BoxError>(answer.body(Full::<Bytes>::default()).unwrap()) }
        });
        let pool = pool(&["a", "b"]);
        let service = KeyRotationLayer::new(pool.clone()).layer(client);
        for attempts in [1, 0] {
            let request = Request::builder().method(method.clone()).uri(format!("{}{path}", support::ORIGIN));
            let response =
                service.clone().oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            assert_eq!(served(&response).key_id().as_str(), "b", "{method} {path}");
            assert_eq!(served(&response).attempts().len(), attempts, "{path}: the limit is remembered");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn preambles_and_keep_alives_are_not_content() {
    let preamble = ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n: ping\n\n";
    let refusal =
        "data: {\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let content = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";
    let client = service_fn(move |request: Request<ReplayBody>| async move {
        let limited = request.headers()["authorization"] == *format!("Bearer {}", support::secret("a"));
        let body = format!("{preamble}{}", if limited { refusal } else { content });
        let answer = Response::builder().header("content-type", "text/event-stream");
        Ok::<_, BoxError>(answer.body(Full::from(body)).unwrap())
    });
    let service = KeyRotationLayer::new(pool(&["a", "b"])).layer(client);
    let response = send(&service, chat("m")).await.unwrap();
    assert_eq!(served(&response).attempts()[0].fault.reason(), Reason::RateLimited);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("{preamble}{content}"), "of one answer only");
}

#[tokio::test(start_paused = true)]
async fn a_long_hint_is_reported_but_capped() {
    let sim = openai([key("a").script(Script::new().then(SimFault::rate_limited(18 * DAY)))]);
    let (pool, log) = (pool(&["a"]), Captured::default());
    let mut heard = pool.subscribe();
    let service = rotating(&pool, &sim);
    let _guard = log.install();
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    let attempt = &failed.attempts()[0];
    assert_eq!(attempt.fault.retry_after(), Some(18 * DAY), "what the provider said");
    let cooldown = attempt.cooldown.unwrap();
    assert!(cooldown <= DAY, "{cooldown:?}");
    let told = std::iter::from_fn(|| heard.next().now_or_never().flatten()).find_map(|event| {
        let EventKind::CooledDown { wait, hint, .. } = event.unwrap().kind else { return None };
        Some((wait, hint))
    });
    assert_eq!(told, Some((Some(cooldown), Some(18 * DAY))), "both are told");
    let (log, said) =
        (log.text(), format!("wait_ms={} hint_ms={}", cooldown.as_millis(), 18 * DAY.as_millis()));
    assert!(log.contains(&said), "{said}: {log}");
    advance(cooldown).await;
    assert!(send(&service, chat("m")).await.is_ok(), "a probe goes out long before");
}

#[tokio::test(start_paused = true)]
async fn a_custom_classifier_overrules_the_provider() {
    let sim = openai([key("a").script(Script::new().then(SimFault::Refuse(Refusal::OutOfCredit))), key("b")]);
    let pool = pool(&["a", "b"]);
    let throttle = pool.provider().classifier().map_response(|verdict| match verdict {
        Verdict::Fault(fault) if fault.reason() == Reason::QuotaExceeded => {
            Verdict::Fault(Blame::new(Reason::RateLimited, Scope::Key).with_retry_after(SECOND))
        }
        other => other,
    });
    let service = KeyRotationLayer::with_classifier(pool.clone(), throttle).layer(sim);
    send(&service, chat("m")).await.unwrap();
    assert_eq!(pool.snapshot().keys[0].state, KeyState::RateLimited);
}

/// A classifier may call anything the caller's own error, but without a response there is nothing to deliver.
#[tokio::test(start_paused = true)]
async fn earlier_attempts_are_reported_without_a_response() {
    let limited = Script::new().then(SimFault::rate_limited(SECOND));
    let sim = openai([key("a").script(limited), key("b").script(Script::always(SimFault::Reset))]);
    let pool = pool(&["a", "b"]);
    let lenient = pool.provider().classifier().map_response(|verdict| match verdict {
        Verdict::Fault(fault) if fault.scope().is_provider() => Verdict::Rejected(Rejection::Invalid),
        other => other,
    });
    let service = KeyRotationLayer::with_classifier(pool, lenient).layer(sim);
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    let attempts: Vec<_> =
        failed.attempts().iter().map(|attempt| attempt.key.as_ref().unwrap().as_str()).collect();
    assert_eq!(attempts, ["a"]);
    assert!(std::error::Error::source(&failed).is_some(), "and why there is none");
}

// === in a chain ===

#[tokio::test(start_paused = true)]
async fn a_failing_fallback_is_skipped() {
    let limited = |label| key(label).script(Script::always(SimFault::rate_limited(60 * SECOND)));
    let sims = [simulated(&["a"]), openai([limited("a"), limited("b")]), simulated(&["a"])];
    sims[0].script(Script::always(SimFault::status(503)));
    let chain = chain(&sims, &[1, 2, 1]);
    for _ in 0..20 {
        assert_eq!(ask(&chain).await.unwrap(), "2");
    }
    assert_eq!(sims[1].calls(), 2, "each of its keys is benched by one refusal");

    let sims = [openai([key("a").revoked()]), simulated(&["a"]), simulated(&["a"])];
    sims[1].script(Script::always(SimFault::status(503)));
    let chain = self::chain(&sims, &[1, 1, 1]);
    for _ in 0..20 {
        assert_eq!(ask(&chain).await.unwrap(), "2");
    }
    assert_eq!(sims[1].calls(), 5, "its breaker opens like that of any");
}

#[tokio::test(start_paused = true)]
async fn a_short_deadline_blames_no_key_or_provider() {
    let sims = [simulated(&["a"]), simulated(&["a"])];
    sims[0].script(Script::always(SimFault::Silent));
    let chain = chain(&sims, &[1, 1]);
    for _ in 0..30 {
        let mut request = chat("m");
        request.extensions_mut().insert(Deadline::at(Instant::now() + SECOND));
        assert!(failed(send(&chain, request).await).deadline_passed());
    }
    sims[0].script(Script::new());
    assert_eq!(ask(&chain).await.unwrap(), "0", "it was never at fault");
    assert_eq!(sims[1].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_endpoint_blames_no_key() {
    let sims = [simulated(&["a", "b"]), simulated(&["a"])];
    sims[0].script(Script::always(SimFault::Refused));
    let pool = pool(&["a", "b"]);
    let first = KeyRotationLayer::new(pool.clone()).layer(sims[0].clone());
    let second = KeyRotationLayer::new(support::pool(&["a"])).layer(sims[1].clone());
    let layer = ProviderFallbackLayer::new("0").fallback("1", second, Route::new());
    let chain = ServiceBuilder::new().layer(layer).service(first);
    for _ in 0..40 {
        assert_eq!(ask(&chain).await.unwrap(), "1");
    }
    assert_eq!(sims[0].calls(), 5, "then its breaker is open");
    assert!(pool.snapshot().keys.iter().all(|key| key.state == KeyState::Available && key.faults == 0));
}

#[tokio::test(start_paused = true)]
async fn bad_keys_leave_attempts_for_the_next_link() {
    for bad in [15, 16, 18] {
        let sims = [
            openai(LABELS[..bad].iter().map(|label| key(label).revoked())),
            openai([key("a").revoked()]),
            simulated(&["a"]),
        ];
        let chain = chain(&sims, &[bad, 1, 1]);
        assert_eq!(ask(&chain).await.unwrap(), "2", "behind {bad} bad keys");
        assert!(sims.iter().map(Simulator::calls).sum::<u64>() <= 16);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_retry_reports_its_own_reason() {
    let sims = [simulated(&["a"])];
    sims[0]
        .script(Script::new().then(SimFault::status(500)).then_forever(SimFault::rate_limited(107 * SECOND)));
    let failed = failed(send(&chain(&sims, &[1]), chat("m")).await);
    assert_eq!(failed.retry_after(), Some(107 * SECOND));
    let reasons: Vec<_> = failed.attempts().map(|attempt| attempt.fault.reason()).collect();
    assert_eq!(reasons, [Reason::ServerError, Reason::RateLimited]);
    assert_eq!(failed.into_response().status(), StatusCode::TOO_MANY_REQUESTS);
}

// === chains ===

fn simulated(labels: &[&str]) -> Simulator {
    openai(labels.iter().map(|label| key(label)).collect::<Vec<SimKey>>())
}

/// A chain whose links are named by their numbers, each with this number of keys.
fn chain(sims: &[Simulator], keys: &[usize]) -> Chain {
    let link =
        |number: usize| KeyRotationLayer::new(pool(&LABELS[..keys[number]])).layer(sims[number].clone());
    let layer = (1..sims.len()).fold(ProviderFallbackLayer::new("0"), |layer, number| {
        layer.fallback(number.to_string(), link(number), Route::new())
    });
    ServiceBuilder::new().layer(layer).service(link(0))
}

async fn ask(chain: &Chain) -> Result<String, Error> {
    let response = send(chain, chat("m")).await?;
    Ok(response.extensions().get::<Served>().unwrap().provider().to_owned())
}

fn failed<T>(came: Result<T, Error>) -> AllProvidersFailed {
    match came.map(drop) {
        Err(Error::AllProvidersFailed(failed)) => *failed,
        other => panic!("{other:?}"),
    }
}
