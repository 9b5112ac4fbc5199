//! A day of traffic over three simulated providers, on the paused clock.

use std::time::Duration;

use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_key_rotation::body::ResponseBody;
use tower_key_rotation::event::Events;
use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallbackLayer, Route};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::KeyPoolBuilder;
use tower_key_rotation::provider::Origin;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_gateway::status::Status;
use tower_key_rotation_sim::{Latency, Limits, Script, SimBody, SimBuilder, SimFault, SimKey, Simulator};

/// The status of the providers at the end of the day.
pub(crate) struct Day {
    pub(crate) status: Status,
}

const STEP: Duration = Duration::from_secs(60);
const STEPS: u32 = 24 * 60;

fn simulator(builder: SimBuilder, keys: &[(&str, u32)]) -> Simulator {
    let key = |(id, limit): &(&str, u32)| {
        let key = SimKey::new(*id, format!("sk-{id}"));
        if *limit > 0 { key.limits(Limits::new().requests_per_minute(*limit)) } else { key }
    };
    let slow = Latency::Uniform(Duration::from_millis(300)..Duration::from_millis(2_400));
    builder.keys(keys.iter().map(key)).latency(slow).build()
}

fn pool(provider: Provider, keys: &[(&str, u32)], events: &Events) -> KeyPool {
    let key = |(id, _): &(&str, u32)| {
        let key = ApiKey::new(format!("sk-{id}")).unwrap().id(*id);
        if id.ends_with("backup") { key.backup() } else { key }
    };
    let quotas = [
        Quota::requests(40).per_minute(),
        Quota::tokens(60_000).per_minute(),
        Quota::requests(9_000).per_day(),
    ];
    let pool = KeyPool::builder(provider).keys(keys.iter().map(key)).events(events).warn_at([]);
    quotas.into_iter().fold(pool, KeyPoolBuilder::quota).build().unwrap()
}

pub(crate) async fn simulated() -> Day {
    let events = Events::new();
    let names = [
        &[("team-research", 3), ("team-product", 0), ("shared-backup", 0)][..],
        &[("claude-primary", 0), ("claude-second", 2)],
        &[("gemini-free", 1), ("gemini-paid", 0)],
    ];
    let sims = [
        simulator(Simulator::openai(), names[0]),
        simulator(Simulator::anthropic(), names[1]),
        simulator(Simulator::gemini(), names[2]),
    ];
    let origin = || "http://sim.test".parse::<Origin>().unwrap();
    let pools = [
        pool(Provider::openai().with_origin(origin()), names[0], &events),
        pool(Provider::anthropic().with_origin(origin()), names[1], &events),
        pool(Provider::gemini().with_origin(origin()), names[2], &events),
    ];
    let rotating = |index: usize| KeyRotationLayer::new(pools[index].clone()).layer(sims[index].clone());
    let route = |path: &str, model: &str| {
        Route::to(&format!("http://sim.test{path}")).unwrap().model("gpt-4o", model).any_model(model)
    };
    let layer = ProviderFallbackLayer::<ResponseBody<SimBody>>::new("openai").route(route("/v1", "gpt-4o"));
    let layer = layer.fallback("anthropic", rotating(1), route("/v1", "claude-sonnet-5-5"));
    let layer = layer.fallback("gemini", rotating(2), route("/v1beta/openai", "gemini-2.5-flash"));
    let breaker = BreakerPolicy::new().consecutive(3);
    let chain = layer.events(&events).breaker(breaker).layer(rotating(0));
    let status = Status::new(pools.clone(), &events).chain(["openai", "anthropic", "gemini"]);
    status.recorder().start();
    let began = tokio::time::Instant::now();
    for step in 0..STEPS {
        incidents(&sims, step);
        let busy = f64::from((step + 360) % 1_440) / 1_440.0 * std::f64::consts::TAU;
        let requests = (5.0 + 4.0 * busy.sin()) as u32;
        for _ in 0..requests {
            let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
            let uri = Uri::from_static("http://sim.test/v1/chat/completions");
            let request = Request::post(uri).header("content-type", "application/json");
            let request = request.body(Full::<bytes::Bytes>::from(body)).unwrap();
            if let Ok(response) = chain.clone().oneshot(request).await {
                drop(response.into_body().collect().await);
            }
        }
        tokio::time::sleep_until(began + STEP * (step + 1)).await;
    }
    Day { status }
}

/// Two bad hours of a provider, and a revoked key at the end.
fn incidents(sims: &[Simulator; 3], step: u32) {
    match step {
        400 => sims[0].script(Script::always(SimFault::status(503))),
        460 => sims[0].heal(),
        900 => sims[0].fail(40, SimFault::rate_limited(Duration::from_secs(20))),
        1_380 => sims[1].key("claude-second").revoke(),
        1_437 => sims[0].key("team-product").fail(1, SimFault::rate_limited(Duration::from_secs(540))),
        _ => {}
    }
}
