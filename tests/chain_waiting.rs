//! A chain that waits for a key: it leaves time for an attempt, never waits for a key that does not come back with
//! time, and never loops without an attempt or a delay.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use futures_util::FutureExt;
use support::{chat, key, pool, rotating, secret, send, text};
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder};
use tower_key_rotation::body::ResponseBody;
use tower_key_rotation::event::{EventKind, Events, Subscription};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::key::KeyId;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, Deadline, Error, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Latency, Refusal, Script, SimBody, SimFault, Simulator};

type Body = ResponseBody<SimBody>;
type Chain = ProviderFallback<KeyRotation<Simulator>, Body>;

const SECOND: Duration = Duration::from_secs(1);

/// A pool that knows no response yet has no estimate of the time that an attempt takes.
#[tokio::test(start_paused = true)]
async fn no_wait_ends_at_the_deadline() {
    for in_chain in [false, true] {
        let sim = Simulator::openai().key(key("a")).latency(Latency::Fixed(SECOND / 5)).build();
        let pool = pool(&["a"]);
        pool.cool_down(&KeyId::from("a"), None, SECOND).unwrap();
        let layer = KeyRotationLayer::new(pool).wait_for_key(true);
        let began = Instant::now();
        let mut request = chat("m");
        request.extensions_mut().insert(Deadline::at(began + SECOND));
        let result = if in_chain {
            let chain = ProviderFallbackLayer::new("only").layer(layer.layer(sim.clone()));
            send(&chain, request).await.map(|_| ())
        } else {
            send(&layer.layer(sim.clone()), request).await.map(|_| ())
        };
        assert_eq!(
            (result.is_err(), Instant::now() - began, sim.calls()),
            (true, Duration::ZERO, 0),
            "{in_chain}"
        );
    }
}

/// A chain that is patient with a link has time for the next one.
#[tokio::test(start_paused = true)]
async fn patience_up_to_the_deadline_is_not_exercised() {
    let sims = [Simulator::openai().key(key("a")).build(), Simulator::openai().key(key("a")).build()];
    let resting = pool(&["a"]);
    resting.cool_down(&KeyId::from("a"), None, SECOND).unwrap();
    let second = KeyRotationLayer::new(pool(&["a"])).layer(sims[1].clone());
    let layer = ProviderFallbackLayer::new("0").patience(SECOND).fallback("1", second, Route::new());
    let chain = layer.layer(rotating(&resting, &sims[0]));
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + SECOND + SECOND / 1_000));
    send(&chain, request).await.unwrap();
    assert_eq!((sims[0].calls(), sims[1].calls()), (0, 1));
}

/// One request and a wait of a second, with deadlines around the time that the wait and a response take.
#[tokio::test(start_paused = true)]
async fn a_wait_near_the_deadline_never_spins() {
    for limit in (900..2_000).step_by(25).map(Duration::from_millis) {
        let sim = Simulator::openai().key(key("a")).latency(Latency::Fixed(SECOND / 5)).build();
        let events = Events::with_capacity(1 << 16);
        let chain = chain_of_one(&sim, &events, &["a"], |layer| layer);
        send(&chain, chat("m")).await.unwrap();
        sim.set_latency(Latency::None);
        sim.key("a").fail(1, SimFault::rate_limited(SECOND));
        let (mut heard, began) = (events.subscribe(), Instant::now());
        let came = within(&chain, limit).await;
        assert!(exhausted(&mut heard) <= 3, "{limit:?}");
        match came {
            Ok(_) => assert!(limit >= SECOND * 6 / 5, "{limit:?}"),
            Err(Error::AllProvidersFailed(failed)) => {
                assert!(limit <= SECOND * 3 / 2 && Instant::now() == began, "{limit:?}: refused at once");
                assert_eq!(failed.retry_after(), Some(SECOND));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_leaves_time_for_an_attempt() {
    let sim = Simulator::openai().key(key("a")).latency(Latency::Fixed(SECOND)).build();
    let chain = chain_of_one(&sim, &Events::new(), &["a"], |layer| layer);
    sim.key("a").fail(1, SimFault::rate_limited(SECOND * 299 / 10));
    send(&chain, chat("m")).await.unwrap_err();
    let (began, calls) = (Instant::now(), sim.calls());
    within(&chain, 30 * SECOND).await.unwrap_err();
    assert_eq!((Instant::now() - began, sim.calls()), (Duration::ZERO, calls));
    within(&chain, 60 * SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unrecoverable_keys_are_not_waited_for() {
    for refusal in [Refusal::InvalidKey, Refusal::OutOfCredit, Refusal::ModelForbidden] {
        let sim = Simulator::openai().keys([key("a"), key("b")]).build();
        sim.script(Script::always(SimFault::Refuse(refusal.clone())));
        for waits in [true, false] {
            let pool = pool(&["a", "b"]);
            let rotation = KeyRotationLayer::new(pool.clone()).wait_for_key(waits).layer(sim.clone());
            let chain = ProviderFallbackLayer::new("only").layer(rotating(&pool, &sim));
            let began = Instant::now();
            for _ in 0..3 {
                let _refused = within(&rotation, 90 * SECOND).await;
                let _refused = within(&chain, 90 * SECOND).await;
            }
            assert_eq!(Instant::now(), began, "{refusal:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ignores_revoked_keys() {
    let sim = Simulator::openai().keys([key("a").revoked(), key("b")]).build();
    sim.key("b").fail(1, SimFault::rate_limited(5 * SECOND));
    let chain = chain_of_one(&sim, &Events::new(), &["a", "b"], |layer| layer);
    let began = Instant::now();
    within(&chain, 30 * SECOND).await.unwrap();
    assert_eq!((Instant::now() - began).as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_queues_behind_those_that_wait() {
    let key = ApiKey::new(secret("a")).unwrap().id("a").concurrency(1);
    let provider = support::at_sim(Provider::openai());
    let pool = KeyPool::builder(provider).key(key).build().unwrap();
    let sim = Simulator::openai().key(support::key("a")).build();
    let chain = ProviderFallbackLayer::new("only").deadline(30 * SECOND).layer(rotating(&pool, &sim));
    let first = send(&chain, support::chat_stream("m")).await.unwrap();
    let mut waiting = Box::pin(send(&chain, support::chat_stream("m")));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(first);
    let mut newcomer = Box::pin(send(&chain, support::chat_stream("m")));
    assert!(newcomer.as_mut().now_or_never().is_none(), "the key is promised");
    let second = waiting.await.unwrap();
    assert!(newcomer.as_mut().now_or_never().is_none());
    drop(second);
    newcomer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_reported_wait_is_the_rest() {
    let sims = [Simulator::openai().key(key("a")).build(), Simulator::openai().key(key("a")).build()];
    sims[0].key("a").fail(1, SimFault::rate_limited(20 * SECOND));
    let twice =
        Script::new().then(SimFault::rate_limited(4 * SECOND)).then(SimFault::rate_limited(90 * SECOND));
    sims[1].key("a").script(twice);
    let second = KeyRotationLayer::new(pool(&["a"])).layer(sims[1].clone());
    let layer = ProviderFallbackLayer::new("0").fallback("1", second, Route::new());
    let chain = ServiceBuilder::new().layer(layer).service(rotating(&pool(&["a"]), &sims[0]));
    let Err(Error::AllProvidersFailed(failed)) = within(&chain, 10 * SECOND).await else { panic!() };
    assert_eq!(failed.retry_after().unwrap().as_secs(), 16);
}

/// The first provider may serve again before the second one has refused.
#[tokio::test(start_paused = true)]
async fn a_usable_provider_reports_no_wait() {
    let first = Simulator::openai().key(key("a")).build();
    first.key("a").fail(1, SimFault::rate_limited(SECOND));
    let second = Simulator::openai().key(key("a")).latency(Latency::Fixed(2 * SECOND)).build();
    second.key("a").fail(1, SimFault::rate_limited(60 * SECOND));
    let layer = ProviderFallbackLayer::new("0").fallback("1", rotating(&pool(&["a"]), &second), Route::new());
    let chain = ServiceBuilder::new().layer(layer).service(rotating(&pool(&["a"]), &first));
    let Err(Error::AllProvidersFailed(failed)) = send(&chain, chat("m")).await else { panic!() };
    assert_eq!(failed.retry_after(), None);
}

/// Both providers come back after the same time, and the first one refuses again.
#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_any_provider() {
    let limited = || SimFault::rate_limited(30 * SECOND);
    let first = Simulator::openai().keys([key("a"), key("b")]).script(Script::always(limited())).build();
    let second = Simulator::openai().key(key("a")).build();
    second.key("a").fail(1, limited());
    let layer = ProviderFallbackLayer::new("0").fallback("1", rotating(&pool(&["a"]), &second), Route::new());
    let chain = ServiceBuilder::new().layer(layer).service(rotating(&pool(&["a", "b"]), &first));
    let began = Instant::now();
    within(&chain, 300 * SECOND).await.unwrap();
    assert_eq!((Instant::now() - began).as_secs(), 30);
}

// === helpers ===

fn chain_of_one(
    sim: &Simulator,
    events: &Events,
    labels: &[&str],
    settings: impl FnOnce(ProviderFallbackLayer<Body>) -> ProviderFallbackLayer<Body>,
) -> Chain {
    let keys = labels.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
    let provider = support::at_sim(Provider::openai());
    let pool = KeyPool::builder(provider).keys(keys).events(events).build().unwrap();
    let layer = settings(ProviderFallbackLayer::new("only").events(events));
    ServiceBuilder::new().layer(layer).service(rotating(&pool, sim))
}

async fn within<S, B>(service: &S, limit: Duration) -> Result<String, Error>
where
    S: tower::Service<
            http::Request<http_body_util::Full<bytes::Bytes>>,
            Response = http::Response<B>,
            Error = Error,
        > + Clone,
    B: http_body::Body,
    B::Error: Into<tower::BoxError>,
{
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + limit));
    Ok(text(send(service, request).await?).await)
}

/// Returns the number of events that report an exhausted pool, including those that were missed.
fn exhausted(heard: &mut Subscription) -> u64 {
    let events = std::iter::from_fn(|| heard.next().now_or_never().flatten());
    events.fold(0, |count, event| match event {
        Ok(event) => count + u64::from(matches!(event.kind, EventKind::Exhausted { .. })),
        Err(missed) => count + missed.count(),
    })
}
