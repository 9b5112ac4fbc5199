//! Every setting of `ProviderFallbackLayer` changes the behaviour of the chain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/settings.rs"]
mod settings;
mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use http_body_util::BodyExt;
use support::{chat, chat_stream, key, pool, send, streamed, text};
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder};
use tower_key_rotation::body::ResponseBody;
use tower_key_rotation::event::Events;
use tower_key_rotation::fallback::{
    BreakerPolicy, Commit, ContextLength, ProviderFallback, ProviderFallbackLayer, Route, Start, Timeouts,
};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Error, KeyRotationLayer, RetryBudget, Served};
use tower_key_rotation_sim::{Refusal, Script, SimBody, SimFault, Simulator};

settings::settings!("ProviderFallbackLayer":
    route, fallback, start, deadline, head_timeout, first_content_timeout, idle_timeout, timeouts_for, commit, complete_cap,
    context_length, resend_ambiguous, wait_for_key, patience, max_attempts, backoff, retry_budget, breaker, replay_cap,
    events, error_events,
);

type Layered = ProviderFallbackLayer<ResponseBody<SimBody>>;
type Chain = ProviderFallback<KeyRotation<Simulator>, ResponseBody<SimBody>>;

const SECOND: Duration = Duration::from_secs(1);

async fn route() {
    let sims = [provider(Script::new()), provider(Script::new())];
    let chain = chain(&sims, |layer| layer.route(Route::new().any_model("ours")));
    assert_eq!(ask(&chain).await.unwrap(), "0");
    assert_eq!(sims[0].log()[0].model.as_deref(), Some("ours"));
}

async fn fallback() {
    let sims = [provider(Script::always(SimFault::status(503))), provider(Script::new())];
    assert_eq!(ask(&chain(&sims, |layer| layer)).await.unwrap(), "1");
    assert!(ask(&chain(&sims[..1], |layer| layer)).await.is_err());
}

async fn start() {
    let sims = [provider(Script::new()), provider(Script::new())];
    for (start, second) in [(Start::Ordered, "0"), (Start::RoundRobin, "1")] {
        let chain = chain(&sims, |layer| layer.start(start));
        assert_eq!(ask(&chain).await.unwrap(), "0");
        assert_eq!(ask(&chain).await.unwrap(), second);
    }
}

async fn deadline() {
    let sims = [provider(Script::always(SimFault::Silent))];
    let began = Instant::now();
    ask(&chain(&sims, |layer| layer.deadline(3 * SECOND))).await.unwrap_err();
    assert_eq!(ms_since(began), 3_000);
}

async fn head_timeout() {
    let sims = [provider(Script::always(SimFault::Silent)), provider(Script::new())];
    let began = Instant::now();
    assert_eq!(ask(&chain(&sims, |layer| layer.head_timeout(2 * SECOND))).await.unwrap(), "1");
    assert_eq!(ms_since(began), 2_000);
}

async fn first_content_timeout() {
    let slow = || [provider(Script::always(SimFault::SlowContent(7 * SECOND))), provider(Script::new())];
    for (limit, link, took) in [(4, "1", 4_000), (8, "0", 7_000)] {
        let began = Instant::now();
        let chain = chain(&slow(), |layer| layer.first_content_timeout(limit * SECOND));
        let response = send(&chain, chat_stream("m")).await.unwrap();
        assert_eq!((support::served(&response).provider(), ms_since(began)), (link, took));
    }
}

async fn timeouts_for() {
    let sims = [provider(Script::always(SimFault::Silent)), provider(Script::new())];
    for (pattern, took) in [("m*", 2_000), ("other*", 7_000)] {
        let began = Instant::now();
        let limits = Timeouts::new().head(2 * SECOND);
        let chain = chain(&sims, |layer| layer.head_timeout(7 * SECOND).timeouts_for(pattern, limits));
        assert_eq!(ask(&chain).await.unwrap(), "1");
        assert_eq!(ms_since(began), took, "{pattern}");
    }
}

async fn idle_timeout() {
    let sims = [provider(Script::always(SimFault::Stall { after: 3 }))];
    let chain = chain(&sims, |layer| layer.idle_timeout(5 * SECOND));
    let response = send(&chain, chat_stream("m")).await.unwrap();
    let began = Instant::now();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(ms_since(began), 5_000);
}

async fn commit() {
    let error = |after| Script::always(SimFault::ErrorEvent { after, refusal: Refusal::ServerError });
    for (commit, after, link) in [
        (Commit::Head, 0, "0"),
        (Commit::FirstContent, 0, "1"),
        (Commit::FirstContent, 3, "0"),
        (Commit::Complete, 3, "1"),
    ] {
        let sims = [provider(error(after)), provider(Script::new())];
        let chain = chain(&sims, |layer| layer.commit(commit));
        let response = send(&chain, chat_stream("m")).await.unwrap();
        assert_eq!(support::served(&response).provider(), link, "{commit:?}, an error after {after}");
    }
}

async fn complete_cap() {
    for (cap, link) in [(1_000_000, "1"), (16, "0")] {
        let sims =
            [provider(Script::always(SimFault::Cut { after: 5, reset: true })), provider(Script::new())];
        let chain = chain(&sims, |layer| layer.commit(Commit::Complete).complete_cap(cap));
        let response = send(&chain, chat_stream("m")).await.unwrap();
        assert_eq!(support::served(&response).provider(), link, "{cap}");
    }
}

async fn context_length() {
    for (then, link) in [(ContextLength::Deliver, "0"), (ContextLength::FallOver, "1")] {
        let sims =
            [provider(Script::always(SimFault::Refuse(Refusal::ContextLength))), provider(Script::new())];
        assert_eq!(ask(&chain(&sims, |layer| layer.context_length(then))).await.unwrap(), link);
    }
}

async fn resend_ambiguous() {
    for (resend, calls) in [(true, 1), (false, 0)] {
        let sims = [provider(Script::always(SimFault::Reset)), provider(Script::new())];
        let chain = chain(&sims, |layer| layer.resend_ambiguous(resend));
        assert_eq!(ask(&chain).await.is_ok(), resend);
        assert_eq!(sims[1].calls(), calls);
    }
}

async fn wait_for_key() {
    for wait in [true, false] {
        let sims = [provider(Script::new().then(SimFault::rate_limited(10 * SECOND)))];
        let chain = chain(&sims, |layer| layer.deadline(60 * SECOND).wait_for_key(wait));
        let began = Instant::now();
        assert_eq!(ask(&chain).await.is_ok(), wait);
        assert_eq!(ms_since(began), if wait { 10_000 } else { 0 });
    }
}

async fn patience() {
    for (patience, by, after) in [(None, "1", 0), (Some(SECOND), "1", 0), (Some(3 * SECOND), "0", 2_000)] {
        let limited = Script::new().then(SimFault::rate_limited(2 * SECOND));
        let sims = [provider(limited), provider(Script::new())];
        let chain = chain(&sims, |layer| match patience {
            Some(longest) => layer.patience(longest),
            None => layer,
        });
        let began = Instant::now();
        assert_eq!((ask(&chain).await.unwrap().as_str(), ms_since(began)), (by, after));
    }
}

async fn max_attempts() {
    for (attempts, calls) in [(1, 1), (2, 2), (3, 3)] {
        let sims = [0; 3].map(|_| provider(Script::always(SimFault::rate_limited(SECOND))));
        ask(&chain(&sims, |layer| layer.max_attempts(attempts))).await.unwrap_err();
        assert_eq!(sims.iter().map(Simulator::calls).sum::<u64>(), calls);
    }
}

async fn backoff() {
    for (setting, shortest, longest) in
        [(None, 100, 500), (Some((2_000, 3_000)), 2_000, 3_000), (Some((4_000, 1_000)), 4_000, 4_000)]
    {
        let sims = [provider(Script::new().then(SimFault::status(500)))];
        let chain = chain(&sims, |layer| match setting {
            Some((least, longest)) => {
                layer.backoff(Duration::from_millis(least), Duration::from_millis(longest))
            }
            None => layer,
        });
        let began = Instant::now();
        ask(&chain).await.unwrap();
        assert!((shortest..=longest + 2).contains(&ms_since(began)), "{setting:?}: {}", ms_since(began));
    }
}

async fn retry_budget() {
    for (budget, calls) in [(RetryBudget::default(), 2), (RetryBudget::new(0.0, 0, SECOND), 1)] {
        let sims = [provider(Script::always(SimFault::status(500)))];
        ask(&chain(&sims, |layer| layer.retry_budget(budget))).await.unwrap_err();
        assert_eq!(sims[0].calls(), calls);
    }
}

async fn breaker() {
    let policies = [(BreakerPolicy::new(), 5), (BreakerPolicy::new().consecutive(2), 2)];
    for (policy, calls) in policies {
        let sims = [provider(Script::always(SimFault::status(503))), provider(Script::new())];
        let chain = chain(&sims, |layer| layer.breaker(policy));
        for _ in 0..20 {
            assert_eq!(ask(&chain).await.unwrap(), "1");
        }
        assert_eq!(sims[0].calls(), calls);
    }
}

async fn replay_cap() {
    for (cap, served) in [(1_000, true), (8, false)] {
        let sims = [provider(Script::always(SimFault::status(503))), provider(Script::new())];
        let chain = chain(&sims, |layer| layer.replay_cap(cap));
        let body = streamed(&[r#"{"model":"m","#, r#""messages":[{"role":"user","#, r#""content":"hi"}]}"#]);
        let request = Request::post(chat("m").uri()).header("content-type", "application/json").body(body);
        assert_eq!(send(&chain, request.unwrap()).await.is_ok(), served, "{cap}");
        assert_eq!(sims[1].calls(), u64::from(served));
    }
}

async fn events() {
    let hub = Events::default();
    let mut heard = hub.subscribe();
    let sims = [provider(Script::always(SimFault::status(503))), provider(Script::new())];
    assert_eq!(ask(&chain(&sims, |layer| layer.events(&hub))).await.unwrap(), "1");
    assert!(heard.next().now_or_never().is_some(), "the chain fell over, and says so");
}

async fn error_events() {
    let sims = [provider(Script::always(SimFault::Cut { after: 3, reset: false }))];
    for tell in [false, true] {
        let response = send(&chain(&sims, |layer| layer.error_events(tell)), chat_stream("m")).await.unwrap();
        let mut body = response.into_body();
        let mut last = Bytes::new();
        while let Some(Ok(frame)) = body.frame().await {
            last = frame.into_data().unwrap();
        }
        assert_eq!(last.starts_with(b"data: {\"error\":"), tell, "{last:?}");
    }
}

// === chains ===

fn provider(script: Script) -> Simulator {
    Simulator::openai().key(key("a")).script(script).build()
}

/// A chain whose links are named by their numbers, each with one key.
fn chain(sims: &[Simulator], settings: impl FnOnce(Layered) -> Layered) -> Chain {
    let link = |sim: &Simulator| KeyRotationLayer::new(pool(&["a"])).layer(sim.clone());
    let layer =
        sims.iter().enumerate().skip(1).fold(ProviderFallbackLayer::new("0"), |layer, (number, sim)| {
            layer.fallback(number.to_string(), link(sim), Route::new())
        });
    ServiceBuilder::new().layer(settings(layer)).service(link(&sims[0]))
}

async fn ask(chain: &Chain) -> Result<String, Error> {
    let response = send(chain, chat("m")).await?;
    let link = response.extensions().get::<Served>().unwrap().provider().to_owned();
    text(response).await;
    Ok(link)
}

fn ms_since(began: Instant) -> u64 {
    u64::try_from(Instant::now().saturating_duration_since(began).as_millis()).unwrap()
}
