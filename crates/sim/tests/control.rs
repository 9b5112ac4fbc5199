//! Control of a running simulator: keys that come and go, limits and credit that change, and seeds.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, advance};
use tower::ServiceExt;
use tower_key_rotation_sim::{Latency, Limits, Script, SimAccount, SimBody, SimFault, SimKey, Simulator};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn keys_come_and_go() {
    let sim = Simulator::openai().key(("a", "old")).build();
    let old = sim.key("a");
    sim.add_key(("b", "b"));
    assert_eq!(statuses(&sim, "b", 1).await, [200]);

    sim.add_key(("a", "new"));
    assert_eq!((statuses(&sim, "old", 1).await, statuses(&sim, "new", 1).await), (vec![401], vec![200]));
    assert_eq!(old.calls(), 1, "the counts are those of the new key");

    sim.remove_key("a");
    assert_eq!(statuses(&sim, "new", 1).await, [401]);
    assert_eq!((old.calls(), sim.unknown_calls().with(StatusCode::UNAUTHORIZED)), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn models_may_share_a_limit() {
    let limits = Limits::new().requests_per_minute(2).all_models_together();
    let key = SimKey::new("a", "a").limits(limits).model_limits("own", Limits::new().requests_per_minute(1));
    let sim = Simulator::openai().key(key).build();
    let mut seen = Vec::new();
    for model in ["one", "two", "own", "one", "own"] {
        seen.push(ask(&sim, "a", model).await.status().as_u16());
    }
    assert_eq!(seen, [200, 200, 200, 429, 429]);
}

#[tokio::test(start_paused = true)]
async fn new_limits_start_full() {
    let sim =
        Simulator::openai().key(SimKey::new("a", "a").limits(Limits::new().requests_per_minute(1))).build();
    assert_eq!(statuses(&sim, "a", 2).await, [200, 429]);
    sim.key("a").set_limits(Limits::new().requests_per_minute(2));
    assert_eq!(statuses(&sim, "a", 3).await, [200, 200, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_admits_one_request() {
    let limits = Limits::new().requests_per_minute(0);
    let sim = Simulator::openai().key(SimKey::new("a", "a").limits(limits)).build();
    assert_eq!(statuses(&sim, "a", 2).await, [200, 429]);
    advance(3_600 * SECOND).await;
    assert_eq!(statuses(&sim, "a", 1).await, [429]);
}

#[tokio::test(start_paused = true)]
async fn a_day_can_be_short() {
    let key = SimKey::new("a", "a").limits(Limits::new().requests_per_day(2));
    let sim = Simulator::openai().key(key).day(10 * SECOND).build();
    assert_eq!(statuses(&sim, "a", 3).await, [200, 200, 429]);
    advance(5 * SECOND).await;
    assert_eq!(statuses(&sim, "a", 2).await, [200, 429]);
}

#[tokio::test(start_paused = true)]
async fn the_last_credit_still_pays_a_call() {
    let key = SimKey::new("a", "a").account("org");
    let sim = Simulator::openai().account(SimAccount::new("org").credit(1)).key(key).build();
    assert_eq!(statuses(&sim, "a", 2).await, [200, 429]);
    assert_eq!(sim.account("org").credit(), Some(0));
    sim.account("org").set_credit(None);
    assert_eq!(statuses(&sim, "a", 1).await, [200]);
}

#[tokio::test(start_paused = true)]
async fn scripts_repeat_and_mix() {
    let down = || SimFault::status(503);
    let sim =
        Simulator::openai().key(("a", "a")).script(Script::new().then(down()).then_ok(2).cycled()).build();
    assert_eq!(statuses(&sim, "a", 4).await, [503, 200, 200, 503]);

    sim.script(Script::flapping(down(), SECOND, SECOND).then_times(2, SimFault::status(500)));
    assert_eq!(statuses(&sim, "a", 3).await, [500, 500, 200]);
    advance(SECOND).await;
    assert_eq!(statuses(&sim, "a", 1).await, [503]);
    sim.heal();
    assert_eq!(statuses(&sim, "a", 1).await, [200]);
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_its_latencies() {
    let latencies = async |seed| {
        let sim = Simulator::openai()
            .key(("a", "a"))
            .latency(Latency::Uniform(SECOND..9 * SECOND))
            .seed(seed)
            .build();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let start = Instant::now();
            ask(&sim, "a", "m").await;
            seen.push(Instant::now().saturating_duration_since(start));
        }
        seen
    };
    assert_eq!(latencies(1).await, latencies(1).await);
    assert_ne!(latencies(1).await, latencies(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_raw_response_is_sent_as_it_is() {
    let sim = Simulator::openai().key(("a", "a")).build();
    let headers = HeaderMap::from_iter([("x-own".parse().unwrap(), "1".parse().unwrap())]);
    sim.fail(1, SimFault::Raw { status: StatusCode::IM_A_TEAPOT, headers, body: "raw".into() });
    let response = ask(&sim, "a", "m").await;
    assert_eq!(
        (response.status(), &response.headers()["x-own"]),
        (StatusCode::IM_A_TEAPOT, &"1".parse().unwrap())
    );
    assert_eq!(response.headers()["content-length"], "3");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "raw");
}

async fn statuses(sim: &Simulator, secret: &str, calls: usize) -> Vec<u16> {
    let mut seen = Vec::new();
    for _ in 0..calls {
        seen.push(ask(sim, secret, "m").await.status().as_u16());
    }
    seen
}

async fn ask(sim: &Simulator, secret: &str, model: &str) -> Response<SimBody> {
    let request = Request::post("/v1/chat/completions").header("authorization", format!("Bearer {secret}"));
    let body: Full<Bytes> = format!(r#"{{"model":"{model}","messages":[]}}"#).into();
    sim.clone().oneshot(request.body(body).unwrap()).await.unwrap()
}
