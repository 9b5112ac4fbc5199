//! In every state of keys and providers, a request is polled only a few times for each attempt, and never loops
//! without an attempt or a delay.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use support::{chat, chat_stream, key, secret, send, text};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder};
use tower_key_rotation::body::ResponseBody;
use tower_key_rotation::event::{EventKind, Events, Subscription};
use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, Deadline, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Latency, Refusal, Script, SimBody, SimFault, Simulator};

type Body = ResponseBody<SimBody>;
type Chain = ProviderFallback<KeyRotation<Simulator>, Body>;

const LABELS: [&str; 3] = ["a", "b", "c"];
const SECOND: Duration = Duration::from_secs(1);
const POLLS_PER_ATTEMPT: u64 = 20;
const EXHAUSTED_PER_REQUEST: u64 = 3;

#[tokio::test(start_paused = true)]
async fn each_attempt_takes_few_polls() {
    for seed in 0..400 {
        let mut rng = Rng::with_seed(seed);
        let sims: Vec<_> = (0..rng.usize(1..=3)).map(|_| provider(&mut rng)).collect();
        let events = Events::with_capacity(1 << 14);
        let chain = chain(&sims, &events, &mut rng);
        // Responses from which latencies are learned, faults that open breakers, and probes that do not return.
        for _ in 0..rng.usize(0..8) {
            let limit = random(&mut rng, 1..5_000);
            tokio::spawn(asked(chain.clone(), limit, rng.bool()));
            sleep(random(&mut rng, 0..1_500)).await;
        }
        for sim in &sims {
            sim.set_latency(latency(&mut rng));
        }
        let mut heard = events.subscribe();
        let (requests, before) = (rng.u64(1..=4), calls(&sims));
        let polled =
            (0..requests).map(|_| polls(asked(chain.clone(), random(&mut rng, 50..30_000), rng.bool())));
        let polled: Vec<_> = futures_util::future::join_all(polled.collect::<Vec<_>>()).await;
        let steps = calls(&sims) - before + requests * sims.len() as u64;
        let (polled, exhausted) = (polled.iter().sum::<u64>(), exhausted(&mut heard));
        assert!(polled <= POLLS_PER_ATTEMPT * steps, "seed {seed}: {polled} polls, {steps} steps");
        assert!(exhausted <= EXHAUSTED_PER_REQUEST * requests, "seed {seed}: {exhausted} events");
    }
}

/// Counts the polls of a future until it is ready. Panics long before it would spin forever.
async fn polls(future: impl Future<Output = ()>) -> u64 {
    let (mut future, mut polls) = (pin!(future), 0);
    poll_fn(|cx| {
        polls += 1;
        assert!(polls < 10_000, "it spins");
        future.as_mut().poll(cx)
    })
    .await;
    polls
}

async fn asked(chain: Chain, limit: Duration, stream: bool) {
    let mut request = if stream { chat_stream("m") } else { chat("m") };
    request.extensions_mut().insert(Deadline::at(Instant::now() + limit));
    if let Ok(response) = send(&chain, request).await
        && !stream
    {
        text(response).await;
    }
}

fn provider(rng: &mut Rng) -> Simulator {
    let keys = LABELS.iter().take(rng.usize(1..=3)).map(|label| key(label).script(script(rng)));
    Simulator::openai().keys(keys.collect::<Vec<_>>()).latency(latency(rng)).build()
}

fn script(rng: &mut Rng) -> Script {
    (0..rng.usize(0..6)).fold(Script::new(), |script, _| match rng.u8(0..9) {
        0 | 1 => script.then_ok(1),
        2 | 3 => script.then(SimFault::rate_limited(random(rng, 1..20_000))),
        4 => script.then(SimFault::Refuse(Refusal::InvalidKey)),
        5 => script.then(SimFault::Refuse(Refusal::OutOfCredit)),
        6 => script.then(SimFault::Refuse(Refusal::ModelForbidden)),
        7 => script.then(SimFault::overloaded()),
        _ => script.then(SimFault::Silent),
    })
}

fn latency(rng: &mut Rng) -> Latency {
    match rng.u8(0..3) {
        0 => Latency::None,
        _ => Latency::Fixed(random(rng, 1..1_500)),
    }
}

fn chain(sims: &[Simulator], events: &Events, rng: &mut Rng) -> Chain {
    let mut links = sims.iter().enumerate().map(|(number, sim)| {
        let keys = LABELS.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
        let builder = KeyPool::builder(support::at_sim(Provider::openai())).keys(keys.take(rng.usize(1..=3)));
        let pool = builder.events(events).build().unwrap();
        (number.to_string(), KeyRotationLayer::new(pool).layer(sim.clone()))
    });
    let (name, first) = links.next().unwrap();
    let breaker = BreakerPolicy::new().consecutive(2).open_for(SECOND / 5, 5 * SECOND);
    let layer = ProviderFallbackLayer::new(name).events(events).breaker(breaker).head_timeout(4 * SECOND);
    let layer = links.fold(layer, |layer, (name, link)| layer.fallback(name, link, Route::new()));
    ServiceBuilder::new().layer(layer).service(first)
}

fn random(rng: &mut Rng, ms: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(ms))
}

fn calls(sims: &[Simulator]) -> u64 {
    sims.iter().map(Simulator::calls).sum()
}

fn exhausted(heard: &mut Subscription) -> u64 {
    let events = std::iter::from_fn(|| heard.next().now_or_never().flatten());
    events.fold(0, |count, event| match event {
        Ok(event) => count + u64::from(matches!(event.kind, EventKind::Exhausted { .. })),
        Err(missed) => count + missed.count(),
    })
}
