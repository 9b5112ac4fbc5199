//! A chain of providers: order, budgets, waiting and pins. Whatever the providers do, a caller gets the bytes of
//! exactly one response, or a typed error.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use support::{chat, key, pool, rotating, send, text};
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceBuilder, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody, StreamError};
use tower_key_rotation::fallback::{
    AllProvidersFailed, Commit, ProviderFallback, ProviderFallbackLayer, Route, SkipReason, Start,
};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Deadline, Error, KeyRotationLayer, ModelId, ProviderPin, Served};
use tower_key_rotation_sim::{Refusal, Script, SimBody, SimFault, SimKey, Simulator};

type Body = ResponseBody<SimBody>;
type Chain = ProviderFallback<KeyRotation<Simulator>, Body>;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_start_setting_picks_the_first_link() {
    let sims = [provider(["a"]), provider(["a"]), provider(["a"])];
    let ordered = chain(&sims, |layer| layer);
    for _ in 0..3 {
        assert_eq!(ask(&ordered).await.unwrap(), "0");
    }
    let turning = chain(&sims, |layer| layer.start(Start::RoundRobin));
    let mut turns = Vec::new();
    for _ in 0..6 {
        turns.push(ask(&turning).await.unwrap());
    }
    assert_eq!(turns, ["0", "1", "2", "0", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_chain_may_be_a_link_of_a_chain() {
    for (fault, reason) in [
        (SimFault::status(503), "overloaded"),
        (SimFault::status(504), "server_error"),
        (SimFault::rate_limited(60 * SECOND), "rate_limited"),
        (SimFault::status(401), "invalid_key"),
    ] {
        for serves in [true, false] {
            let sims = [provider(["a"]), provider(["a"]), provider(["a"])];
            sims[0].script(Script::always(fault.clone()));
            sims[1].script(Script::always(fault.clone()));
            if !serves {
                sims[2].script(Script::always(SimFault::status(500)));
            }
            let last = ProviderFallbackLayer::new("2").layer(rotating(&pool(&["a"]), &sims[2]));
            let layer = ProviderFallbackLayer::new("inner").fallback("last", last, Route::new());
            let chain = layer.layer(chain(&sims[..2], |layer| layer));
            match send(&chain, chat("m")).await {
                Ok(response) => assert!(serves && response.status() == StatusCode::OK, "{reason}"),
                Err(Error::AllProvidersFailed(failed)) => {
                    let [inner, last] = failed.providers() else { panic!("{failed}") };
                    assert!(!serves && inner.attempts().len() >= 2, "{failed}");
                    assert_eq!(inner.fault().unwrap().reason().as_str(), reason);
                    assert_eq!(last.fault().unwrap().reason().as_str(), "server_error");
                }
                Err(error) => panic!("{reason}: {error}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pinned_request_rotates_only_keys() {
    let sims = [provider(["a"]), provider(["a", "b"])];
    sims[1].key("a").script(Script::always(SimFault::rate_limited(60 * SECOND)));
    let chain = chain_of(&sims, &[1, 2], |layer| layer);
    let pinned = || {
        let mut request = chat("m");
        request.extensions_mut().insert(ProviderPin::to("1"));
        request
    };
    let response = send(&chain, pinned()).await.unwrap();
    let served = response.extensions().get::<Served>().unwrap();
    assert_eq!((served.provider(), served.key_id().as_str(), served.attempts().len()), ("1", "b", 1));

    sims[1].script(Script::always(SimFault::status(500)));
    let failed = failed(send(&chain, pinned()).await);
    assert_eq!(failed.providers().len(), 1);
    assert_eq!(sims[0].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_strict_link_skips_unknown_models() {
    let sims = [provider(["a"]), provider(["a"]), provider(["a"])];
    sims[0].script(Script::always(SimFault::status(503)));
    let link = |number: usize| KeyRotationLayer::new(pool(&["a"])).layer(sims[number].clone());
    let layer = ProviderFallbackLayer::new("0")
        .fallback("1", link(1), Route::new().model("other", "theirs").strict())
        .fallback("2", link(2), Route::new().any_model("ours"));
    let chain = ServiceBuilder::new().layer(layer).service(link(0));
    assert_eq!(ask(&chain).await.unwrap(), "2");
    assert_eq!(sims[1].calls(), 0);
    assert_eq!(sims[2].log()[0].model.as_deref(), Some("ours"));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_request_keeps_the_model_it_names() {
    let sims = [provider(["a"]), provider(["a"])];
    let link = |number: usize| KeyRotationLayer::new(pool(&["a"])).layer(sims[number].clone());
    let route = Route::new().model("alias", "theirs").any_model("cheap");
    let layer = ProviderFallbackLayer::new("0").fallback("1", link(1), route);
    let chain = ServiceBuilder::new().layer(layer).service(link(0));
    for (asked, named, sent) in [
        ("claude-opus-4-1", false, "claude-opus-4-1"),
        ("claude-opus-4-1", true, "claude-opus-4-1"),
        ("alias", false, "theirs"),
        ("alias", true, "theirs"),
    ] {
        let mut request = chat(asked);
        request.extensions_mut().insert(ProviderPin::to("1"));
        if named {
            request.extensions_mut().insert(ModelId::from(asked));
        }
        send(&chain, request).await.unwrap();
        assert_eq!(
            sims[1].log().last().unwrap().model.as_deref(),
            Some(sent),
            "{asked}, in an extension: {named}"
        );
    }
    sims[0].script(Script::always(SimFault::status(503)));
    assert_eq!(ask(&chain).await.unwrap(), "1");
    assert_eq!(
        sims[1].log().last().unwrap().model.as_deref(),
        Some("cheap"),
        "of a request that is not pinned"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_all_links() {
    let sims = [provider(["a"]), provider(["a"])];
    for sim in &sims {
        sim.script(Script::always(SimFault::Silent));
    }
    let chain = chain(&sims, |layer| layer.head_timeout(7 * SECOND).deadline(10 * SECOND));
    let began = Instant::now();
    let failed = failed(send(&chain, chat("m")).await);
    assert_eq!(ms_since(began), 10_000);
    assert!(failed.deadline_passed());
    assert_eq!(failed.into_response().status(), StatusCode::GATEWAY_TIMEOUT);

    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + 2 * SECOND));
    let began = Instant::now();
    assert!(send(&chain, request).await.is_err());
    assert_eq!(ms_since(began), 2_000, "the caller's own, if it is earlier");
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_after_all_links() {
    for (keys, backs_off) in [(1, true), (2, false)] {
        let sims = [provider(["a", "b"]), provider(["a", "b"])];
        sims[0].script(Script::always(SimFault::status(500)));
        let two = chain_of(&sims, &[keys; 2], |layer| layer);
        let began = Instant::now();
        assert_eq!(ask(&two).await.unwrap(), "1");
        assert_eq!((ms_since(began), sims[0].calls()), (0, 1));

        sims[1].script(Script::always(SimFault::status(500)));
        sims.iter().for_each(Simulator::reset_counts);
        let failed = failed(send(&two, chat("m")).await);
        assert_eq!(sims[0].calls() + sims[1].calls(), 3, "two links and one retry");
        assert_eq!(failed.attempts().count(), 3);
        assert!(if backs_off { (100..=500).contains(&ms_since(began)) } else { ms_since(began) == 0 });
        let keys_of_first =
            failed.providers()[0].attempts().iter().map(|attempt| attempt.key.clone().unwrap());
        let different: std::collections::HashSet<_> = keys_of_first.collect();
        assert_eq!(different.len(), keys);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_only_if_no_link_is_usable() {
    let limited = |seconds: u32| Script::new().then(SimFault::rate_limited(seconds * SECOND));
    let sims = [provider(["a"]), provider(["a"])];
    let chain = chain(&sims, |layer| layer.deadline(20 * SECOND));
    sims[0].key("a").script(limited(30));
    sims[1].key("a").script(limited(12));
    let began = Instant::now();
    assert_eq!(ask(&chain).await.unwrap(), "1", "the one that is usable first");
    assert_eq!(ms_since(began), 12_000);

    sims[0].key("a").script(limited(30));
    sims[1].key("a").script(limited(40));
    tokio::time::advance(60 * SECOND).await;
    let began = Instant::now();
    let failed = failed(send(&chain, chat("m")).await);
    assert_eq!(ms_since(began), 0);
    assert_eq!(failed.retry_after(), Some(30 * SECOND));
    assert_eq!(failed.into_response().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn fifty_waiters_are_served_without_a_herd() {
    let sims = [provider(["a"])];
    sims[0].key("a").script(Script::new().then(SimFault::rate_limited(5 * SECOND)));
    let chain = chain(&sims, |layer| layer.deadline(60 * SECOND));
    let requests = (0..50).map(|_| ask(&chain));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(sims[0].calls() <= 52 + 50, "{} calls", sims[0].calls());
}

#[tokio::test(start_paused = true)]
async fn the_only_error_response_is_delivered() {
    let sims = [provider(["a"]), provider(["a"])];
    sims[0].script(Script::always(SimFault::Refuse(Refusal::InvalidKey)));
    sims[1].script(Script::always(SimFault::Refused));
    let chain = chain(&sims, |layer| layer);
    let failed = failed(send(&chain, chat("m")).await);
    let because: Vec<_> = failed.providers().iter().map(|failed| failed.because().clone()).collect();
    assert!(matches!(because[..], [SkipReason::Keys(_), SkipReason::Keys(_)]));
    let response = failed.into_response();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_failure_can_end_the_request() {
    let sims = [provider(["a"]), provider(["a"])];
    sims[0].script(Script::always(SimFault::Reset));
    let careful = chain(&sims, |layer| layer.resend_ambiguous(false));
    assert_eq!(failed(send(&careful, chat("m")).await).providers().len(), 1);
    let mut request = chat("m");
    request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
    assert!(send(&careful, request).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_unready_link_does_not_block_the_others() {
    #[derive(Clone)]
    struct NeverReady;
    impl tower::Service<Request<ReplayBody>> for NeverReady {
        type Response = Response<Full<Bytes>>;
        type Error = BoxError;
        type Future = std::future::Pending<Result<Self::Response, BoxError>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Pending
        }
        fn call(&mut self, _: Request<ReplayBody>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }
    let well =
        service_fn(|_: Request<ReplayBody>| async { Ok::<_, BoxError>(Response::new(Full::default())) });
    let layer = ProviderFallbackLayer::new("never").fallback("well", well, Route::new()).head_timeout(SECOND);
    let chain = ServiceBuilder::new().layer(layer).service(NeverReady);
    let began = Instant::now();
    assert!(send(&chain, chat("m")).await.is_ok());
    assert_eq!(ms_since(began), 1_000);
}

#[tokio::test(start_paused = true)]
async fn usage_is_known_after_the_body() {
    let sims = [provider(["a"])];
    let at_head = chain(&sims, |layer| layer.commit(Commit::Head));
    let response = send(&at_head, chat("m")).await.unwrap();
    let served = support::served(&response).clone();
    assert_eq!(served.usage(), None);
    text(response).await;
    assert!(served.usage().unwrap().total_tokens.unwrap() > 0);
    let response = send(&chain(&sims, |layer| layer), chat("m")).await.unwrap();
    assert!(support::served(&response).usage().is_some(), "it was read before its commit");
}

/// Tries chains of one and of two links, each with a key whose streams begin with an error and a good key, with
/// four requests at a time.
#[tokio::test]
async fn a_stream_that_begins_with_an_error_rotates() {
    for links in [1, 2] {
        let sims: Vec<_> = (0..links).map(|_| provider(["a", "b"])).collect();
        for sim in &sims {
            sim.key("a").script(Script::always(SimFault::overloaded_in_stream()));
        }
        let chain = chain_of(&sims, &vec![2; links], |layer| layer);
        let ask = || async {
            let began = Instant::now();
            let served = send(&chain, support::chat_stream("m")).await.is_ok();
            (served, Instant::now().saturating_duration_since(began))
        };
        let mut took = Vec::new();
        for _ in 0..50 {
            for (served, time) in futures_util::future::join_all((0..4).map(|_| ask())).await {
                assert!(served, "after {}", took.len());
                took.push(time);
            }
        }
        took.sort();
        assert!(took[100] <= Duration::from_millis(20), "{links}: {:?}", took[100]);
        let (bad, good) = (sims[0].key("a").calls(), sims[0].key("b").calls());
        assert!(links == 2 || bad <= 110 && good == 200, "{bad} {good}");
    }
}

#[derive(Clone, Debug)]
enum Mood {
    Well,
    Bad(SimFault),
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => Just(Mood::Well),
        1 => Just(Mood::Bad(SimFault::rate_limited(SECOND))),
        1 => Just(Mood::Bad(SimFault::Refuse(Refusal::InvalidKey))),
        1 => Just(Mood::Bad(SimFault::Refuse(Refusal::OutOfCredit))),
        1 => Just(Mood::Bad(SimFault::overloaded())),
        1 => Just(Mood::Bad(SimFault::status(500))),
        1 => Just(Mood::Bad(SimFault::Reset)),
        1 => Just(Mood::Bad(SimFault::Silent)),
        1 => Just(Mood::Bad(SimFault::SlowContent(60 * SECOND))),
        1 => Just(Mood::Bad(SimFault::Stall { after: 2 })),
        1 => Just(Mood::Bad(SimFault::Cut { after: 2, reset: false })),
        1 => Just(Mood::Bad(SimFault::Cut { after: 0, reset: true })),
        1 => Just(Mood::Bad(SimFault::Malformed { after: 1 })),
        1 => Just(Mood::Bad(SimFault::ErrorEvent { after: 0, refusal: Refusal::ServerError })),
        1 => Just(Mood::Bad(SimFault::ErrorEvent { after: 2, refusal: Refusal::ServerError })),
        1 => Just(Mood::Bad(SimFault::NoTerminator)),
        1 => Just(Mood::Bad(SimFault::Refuse(Refusal::ContextLength))),
        1 => Just(Mood::Bad(SimFault::Gateway(StatusCode::BAD_GATEWAY))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// One to four providers with one to five keys do anything: there are no more calls than the budget allows, the
    /// caller gets the bytes of exactly one response or a typed error, nothing lasts past the deadline, and no
    /// permit is lost.
    #[test]
    fn a_caller_gets_one_response_or_a_typed_error(
        moods in prop::collection::vec((1_usize..=5, prop::collection::vec(mood(), 1..8)), 1..=4),
        commit in prop_oneof![Just(Commit::Head), Just(Commit::FirstContent), Just(Commit::Complete)],
        streams in prop::collection::vec(any::<bool>(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let sims: Vec<_> = moods.iter().map(|(keys, moods)| {
                let sim = provider(["a", "b", "c", "d", "e"].into_iter().take(*keys));
                let script = moods.iter().fold(Script::new(), |script, mood| match mood {
                    Mood::Well => script.then_ok(1),
                    Mood::Bad(fault) => script.then(fault.clone()),
                });
                sim.script(script);
                sim
            }).collect();
            let labels: Vec<usize> = moods.iter().map(|(keys, _)| *keys).collect();
            let chain = chain_of(&sims, &labels, |layer| {
                layer.commit(commit).max_attempts(8).head_timeout(5 * SECOND).first_content_timeout(5 * SECOND)
                    .idle_timeout(5 * SECOND).deadline(60 * SECOND)
            });
            for stream in streams {
                sims.iter().for_each(Simulator::reset_counts);
                let request = if stream { support::chat_stream("m") } else { chat("m") };
                let began = Instant::now();
                let came = send(&chain, request).await;
                assert!(ms_since(began) <= 60_000, "past the deadline");
                let calls: u64 = sims.iter().map(Simulator::calls).sum();
                assert!(calls <= 8, "{calls} calls");
                check(came, stream).await;
            }
            sims.iter().for_each(|sim| sim.script(Script::new()));
            tokio::time::advance(Duration::from_secs(3 * 24 * 60 * 60)).await;
            let usable = send(&chain, chat("m")).await.map(drop);
            let dead = moods.iter().any(|(_, moods)| moods.iter().any(|mood| {
                matches!(mood, Mood::Bad(SimFault::Refuse(Refusal::InvalidKey)))
            }));
            assert!(usable.is_ok() || dead, "a permit leaked: {usable:?}");
            assert!(sims.iter().all(|sim| sim.in_flight() == 0));
        });
    }
}

async fn check(came: Result<Response<ResponseBody<Body>>, Error>, stream: bool) {
    let response = match came {
        Ok(response) => response,
        Err(Error::AllProvidersFailed(_)) => return,
        Err(error) => panic!("{error:?}"),
    };
    let status = response.status();
    match response.into_body().collect().await {
        Ok(body) if status.is_success() => {
            let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
            if !stream && body.contains("\"error\":") {
                return; // This dialect has no errors under 200 outside streams, so none is looked for.
            }
            let ids: std::collections::BTreeSet<_> = body
                .match_indices("\"id\":\"chatcmpl-")
                .map(|(at, _)| &body[at..at + 30.min(body.len() - at)])
                .collect();
            assert!(ids.len() <= 1, "of one answer: {body}");
            assert_eq!(body.matches("\"finish_reason\":\"stop\"").count(), 1, "whole, and once: {body}");
            assert!(body.matches("data: [DONE]").count() <= usize::from(stream));
        }
        Ok(_) => {}
        Err(error) => assert!(error.is::<StreamError>() || !stream, "{error:?}"),
    }
}

// === chains ===

fn provider<'a>(labels: impl IntoIterator<Item = &'a str>) -> Simulator {
    Simulator::openai().keys(labels.into_iter().map(key).collect::<Vec<SimKey>>()).build()
}

/// A chain whose links are named by their numbers, each with one key.
fn chain(
    sims: &[Simulator],
    settings: impl FnOnce(ProviderFallbackLayer<Body>) -> ProviderFallbackLayer<Body>,
) -> Chain {
    chain_of(sims, &vec![1; sims.len()], settings)
}

fn chain_of(
    sims: &[Simulator],
    keys: &[usize],
    settings: impl FnOnce(ProviderFallbackLayer<Body>) -> ProviderFallbackLayer<Body>,
) -> Chain {
    let link = |number: usize| {
        let labels = &["a", "b", "c", "d", "e"][..keys[number]];
        KeyRotationLayer::new(pool(labels)).layer(sims[number].clone())
    };
    let others = 1..sims.len();
    let layer = others.fold(ProviderFallbackLayer::new("0"), |layer, number| {
        layer.fallback(number.to_string(), link(number), Route::new())
    });
    ServiceBuilder::new().layer(settings(layer)).service(link(0))
}

async fn ask(chain: &Chain) -> Result<String, Error> {
    let response = send(chain, chat("m")).await?;
    let link = response.extensions().get::<Served>().unwrap().provider().to_owned();
    text(response).await;
    Ok(link)
}

fn failed<T>(came: Result<T, Error>) -> AllProvidersFailed {
    match came.map(drop) {
        Err(Error::AllProvidersFailed(failed)) => *failed,
        other => panic!("{other:?}"),
    }
}

fn ms_since(began: Instant) -> u64 {
    u64::try_from(Instant::now().saturating_duration_since(began).as_millis()).unwrap()
}
