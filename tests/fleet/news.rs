//! News between instances over a real Redis: learned limits, revoked keys under load, and changes while Redis is away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{KeyRotationLayer, ModelId};

use crate::redis::{LATER, Server, until};
use crate::stage::{Instance, Load, SOON, fleet, sim};
use crate::support::{chat, key, openai, pool, rotating, secret, send};

fn headers(limit: &'static str, remaining: &'static str, reset: &'static str) -> HeaderMap {
    let headers = [
        ("x-ratelimit-limit-requests", limit),
        ("x-ratelimit-remaining-requests", remaining),
        ("x-ratelimit-reset-requests", reset),
    ];
    headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn what_a_success_says_of_a_limit_is_respected_by_all() {
    let Some(server) = Server::start(&[]).await else { return };
    let (fleet, model) = (fleet(&server.url()).await, ModelId::from("m"));
    // Key after key, the provider says with a success that nothing is left.
    for used_up in 1..=3 {
        let mut lease = fleet[0].pool.acquire(&model).unwrap();
        lease.observe(StatusCode::OK, &headers("1", "0", "50s"), Some(&model));
        lease.succeed();
        until(SOON, async || fleet.iter().all(|it| it.pool.usable(Some(&model)) == 3 - used_up)).await;
    }
    for instance in &fleet {
        let wait = instance.pool.acquire(&model).unwrap_err().retry_after().unwrap();
        assert!(wait > Duration::from_secs(40) && wait <= Duration::from_secs(50), "{wait:?}");
        assert_eq!(instance.pool.usable(None), 3, "other models are free");
    }
}

#[tokio::test]
async fn what_is_left_of_a_learned_limit_is_known_to_all() {
    let Some(server) = Server::start(&[]).await else { return };
    let (fleet, model) = (fleet(&server.url()).await, ModelId::from("m"));
    let mut lease = fleet[0].pool.acquire(&model).unwrap();
    let key = lease.key_id().clone();
    lease.observe(StatusCode::OK, &headers("100", "7", "93s"), Some(&model));
    lease.succeed();
    let left = |it: &Instance| -> Option<u64> {
        let keys = it.pool.snapshot().keys;
        let key = keys.into_iter().find(|it| it.id == key).unwrap();
        Some(key.model_limits.first()?.limits.first()?.remaining)
    };
    until(SOON, async || fleet.iter().all(|it| left(it).is_some_and(|left| (7..=8).contains(&left)))).await;
}

/// One call of a provider: when it was sent, when its response came, and whether the key was refused.
#[derive(Clone, Copy)]
struct Call {
    sent: Instant,
    came: Instant,
    is_refused: bool,
}

/// The calls of one instance, and the time at which the first request was served that had met a refusal.
#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    confirmed: Option<Instant>,
}

/// Sends requests one after another, until `end`. The provider takes 20 ms, and refuses the key `b` from `revoked` on.
async fn serve(instance: &Instance, seen: Arc<Mutex<Seen>>, revoked: Instant, end: Instant) {
    while Instant::now() < end {
        let refusals = Arc::new(Mutex::new(0));
        let noted = (Arc::clone(&seen), Arc::clone(&refusals));
        let inner = service_fn(move |request: Request<ReplayBody>| {
            let ((seen, refusals), sent) = (noted.clone(), Instant::now());
            async move {
                let is_b = request.headers()["authorization"].to_str().unwrap().ends_with(&secret("b"));
                let is_refused = is_b && sent >= revoked;
                sleep(Duration::from_millis(20)).await;
                *refusals.lock().unwrap() += usize::from(is_refused);
                seen.lock().unwrap().calls.push(Call { sent, came: Instant::now(), is_refused });
                let status = if is_refused { 401 } else { 200 };
                let body = Full::from(Bytes::from_static(b"{}"));
                Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        });
        let service = KeyRotationLayer::new(instance.pool.clone()).layer(inner);
        service.oneshot(chat("m")).await.expect("a key is usable");
        if *refusals.lock().unwrap() > 0 {
            let confirmed = &mut seen.lock().unwrap().confirmed;
            *confirmed = Some(confirmed.map_or(Instant::now(), |before| before.min(Instant::now())));
        }
    }
}

#[tokio::test]
async fn a_revoked_key_is_met_by_requests_that_could_not_know() {
    let Some(server) = Server::start(&[]).await else { return };
    let fleet = fleet(&server.url()).await;
    // The first refusal in a process builds the tables of the classifier, which takes long without optimization.
    let warm_up = rotating(&pool(&["x", "y"]), &openai([key("x").revoked(), key("y")]));
    send(&warm_up, chat("m")).await.unwrap();
    let seen: [Arc<Mutex<Seen>>; 3] = Default::default();
    let began = Instant::now();
    let (revoked, end) = (began + Duration::from_millis(200), began + Duration::from_secs(1));
    let all = fleet.iter().zip(&seen).flat_map(|it| [it; 8]);
    join_all(all.map(|(instance, seen)| serve(instance, Arc::clone(seen), revoked, end))).await;
    let refused =
        |seen: &Seen| -> Vec<Call> { seen.calls.iter().filter(|call| call.is_refused).copied().collect() };
    let all: Vec<_> = seen.iter().flat_map(|seen| refused(&seen.lock().unwrap())).collect();
    let first = all.iter().map(|call| call.came).min().expect("the key is met");
    // The whole fleet: none is sent later than the news of the first refusal arrives.
    let after: Vec<_> = all.iter().map(|call| call.sent.saturating_duration_since(first)).collect();
    assert!(after.iter().all(|after| *after < SOON), "refused after the first refusal: {after:?}");
    // Each instance: none is sent after another key has served the first request that was refused.
    for seen in &seen {
        let seen = seen.lock().unwrap();
        let confirmed = seen.confirmed.unwrap_or(end);
        assert!(
            refused(&seen).iter().all(|call| call.sent <= confirmed),
            "{} refusals",
            refused(&seen).len()
        );
    }
    println!(
        "{} of {} calls were refused",
        all.len(),
        seen.iter().map(|it| it.lock().unwrap().calls.len()).sum::<usize>()
    );
    assert!(fleet.iter().all(|instance| instance.state(1) == KeyState::Invalid));
}

#[tokio::test]
async fn changes_while_redis_is_away_take_little_room_and_arrive() {
    let Some(server) = Server::start(&[]).await else { return };
    let (mut fleet, port, sim) = (fleet(&server.url()).await, server.port, sim());
    drop(server);
    for instance in &mut fleet {
        assert!(instance.news().await.is_some());
    }
    let load = Load::start(&fleet[1..], &sim);
    let pool = &fleet[0].pool;
    let mut most = 0;
    for round in 0..3_000 {
        // More names of models than a pool keeps.
        let model = ModelId::from(format!("model-{}", round % 600));
        for (reason, scope) in [(Reason::RateLimited, Scope::KeyModel), (Reason::QuotaExceeded, Scope::Key)] {
            let fault = Fault::new(reason, scope).with_retry_after(Duration::from_secs(600));
            drop(pool.acquire(&model).unwrap().fail(&fault, Some(&model)));
        }
        pool.disable(&"c".into()).unwrap();
        pool.reset_all();
        pool.enable(&"c".into()).unwrap();
        // The events are read meanwhile.
        tokio::task::yield_now().await;
        if round % 100 == 0 {
            most = most.max(pool.export().len());
        }
    }
    let bound = 3 * (600 + 8);
    assert!(most <= bound && pool.export().len() <= bound, "{most} registers");
    pool.disable(&"c".into()).unwrap();
    let fault = Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(Duration::from_secs(600));
    drop(pool.acquire(()).unwrap().fail(&fault, None));
    let _server = Server::start_at(port, &[]).await.unwrap();
    until(LATER, async || fleet.iter().all(|it| it.pool.usable(None) == 1)).await;
    let late = Instance::at(&format!("redis://127.0.0.1:{port}"));
    late.connected().await;
    until(LATER, async || late.pool.usable(None) == 1).await;
    load.stop().await;
    send(&rotating(&late.pool, &sim), chat("m")).await.unwrap();
}
