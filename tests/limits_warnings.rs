//! Warnings before a declared limit is used up.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/pool.rs"]
mod support;

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use support::{DAY, MINUTE, SECOND, builder, key, lease};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::KeyRotationLayer;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::event::{EventKind, Subscription};
use tower_key_rotation::limits::{Estimate, Quota};
use tower_key_rotation::pool::{AcquireRequest, KeyPool, KeyPoolBuilder};
use tower_key_rotation::provider::ModelId;

fn pool_of(quota: Quota) -> KeyPoolBuilder {
    builder().key(key("a").account("org")).quota(quota)
}

/// Serves requests until none is admitted. Returns the number of the request and the share of each warning.
fn use_up(pool: &KeyPool, heard: &mut Subscription) -> Vec<(u32, f64)> {
    let mut told = Vec::new();
    for request in 1.. {
        let Ok(lease) = pool.acquire(None) else { return told };
        lease.succeed();
        told.extend(thresholds(heard).into_iter().map(|share| (request, share)));
    }
    told
}

fn thresholds(heard: &mut Subscription) -> Vec<f64> {
    let said = std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(Result::unwrap);
    let shares = said.filter_map(|event| match event.kind {
        EventKind::QuotaWarning { threshold, .. } => Some(threshold),
        _ => None,
    });
    shares.collect()
}

#[tokio::test(start_paused = true)]
async fn each_threshold_of_a_day_warns_once() {
    let pool = pool_of(Quota::requests(40).per_day()).build().unwrap();
    let mut heard = pool.subscribe();
    for _ in 0..3 {
        assert_eq!(use_up(&pool, &mut heard), [(32, 0.8), (38, 0.95)]);
        sleep(DAY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_minute_warns_once() {
    let pool = pool_of(Quota::requests(20).per_minute()).build().unwrap();
    let mut heard = pool.subscribe();
    assert_eq!(use_up(&pool, &mut heard), [(16, 0.8), (19, 0.95)]);
    for _ in 0..19 {
        sleep(3 * SECOND).await;
        lease(&pool).succeed();
    }
    assert_eq!(thresholds(&mut heard), [0.0; 0], "one comes back every three seconds");
    sleep(4 * SECOND).await;
    lease(&pool).succeed();
    assert_eq!(thresholds(&mut heard), [0.8, 0.95]);
}

#[tokio::test(start_paused = true)]
async fn a_window_begins_with_its_first_warning() {
    let pool = pool_of(Quota::requests(20).per_minute()).build().unwrap();
    let mut heard = pool.subscribe();
    (0..16).for_each(|_| lease(&pool).succeed());
    assert_eq!(thresholds(&mut heard), [0.8]);
    sleep(50 * SECOND).await;
    assert_eq!(use_up(&pool, &mut heard), [(19, 0.95)]);
    sleep(11 * SECOND).await;
    lease(&pool).succeed();
    assert_eq!(thresholds(&mut heard), [0.8], "three of twenty are left, and the minute is over");
}

#[tokio::test(start_paused = true)]
async fn one_request_may_cross_two_thresholds() {
    let pool = pool_of(Quota::tokens(1_000).per_day()).build().unwrap();
    let mut heard = pool.subscribe();
    for told in [vec![0.8, 0.95], vec![]] {
        let large = Estimate::new().input_tokens(if told.is_empty() { 10 } else { 960 });
        pool.acquire(AcquireRequest::new().tokens(large)).unwrap().succeed();
        assert_eq!(thresholds(&mut heard), told);
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_may_warn_for_several_limits() {
    let account = [Quota::requests(20).per_minute(), Quota::tokens(100).per_day()];
    let account = account.into_iter().fold(builder(), KeyPoolBuilder::quota);
    let day = Quota::requests(10).per_day();
    let pool = account.key(key("a").account("org").quota(day)).warn_at([0.1]).build().unwrap();
    let mut heard = pool.subscribe();
    let some = Estimate::new().input_tokens(5);
    for told in [1, 2, 0] {
        pool.acquire(AcquireRequest::new().tokens(some)).unwrap().succeed();
        assert_eq!(thresholds(&mut heard).len(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_uses_no_warning() {
    let own = key("a").account("org").quota(Quota::requests(10).per_day());
    let pool = builder().key(own).quota(Quota::concurrent(1)).build().unwrap();
    let mut heard = pool.subscribe();
    (0..6).for_each(|_| lease(&pool).succeed());
    let seventh = lease(&pool);
    pool.acquire(None).unwrap_err();
    assert_eq!(thresholds(&mut heard), [0.0; 0], "the eighth was not let in");
    seventh.succeed();
    lease(&pool).succeed();
    assert_eq!(thresholds(&mut heard), [0.8]);
}

#[tokio::test(start_paused = true)]
async fn a_warning_names_the_owner_and_the_rest() {
    let quota = Quota::requests(10).per_minute().for_models("m*");
    let pool = pool_of(quota).build().unwrap();
    let mut heard = pool.subscribe();
    for _ in 0..8 {
        pool.acquire(Some(&ModelId::from("m-1"))).unwrap().succeed();
        pool.acquire(Some(&ModelId::from("other"))).unwrap().succeed();
    }
    let event = heard.next().now_or_never().flatten().unwrap().unwrap();
    let EventKind::QuotaWarning { key, account, model, window, used, threshold, remaining, limit, .. } =
        event.kind
    else {
        panic!("{event:?}")
    };
    assert_eq!((key.unwrap().as_str(), account.unwrap().as_str()), ("a", "org"));
    assert_eq!((model.unwrap().as_str(), window.unwrap().length()), ("m-1", MINUTE));
    assert_eq!((used, threshold, remaining, limit), (0.8, 0.8, Some(2), Some(10)));
    assert_eq!(thresholds(&mut heard), [0.0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_response_with_limits_may_warn() {
    let pool = builder().key(key("a")).build().unwrap();
    let mut heard = pool.subscribe();
    let answers = [
        (("500", "30s"), vec![]),
        (("150", "51s"), vec![0.8]),
        (("20", "58.8s"), vec![0.95]),
        (("20", "58.8s"), vec![]),
    ];
    for ((remaining, reset), told) in answers {
        let mut lease = lease(&pool);
        let mut headers = http::HeaderMap::new();
        for (name, value) in [("limit", "1000"), ("remaining", remaining), ("reset", reset)] {
            let name = http::HeaderName::try_from(format!("x-ratelimit-{name}-tokens")).unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        lease.observe(http::StatusCode::OK, &headers, None);
        assert_eq!(thresholds(&mut heard), told, "{remaining}");
        lease.succeed();
        sleep(SECOND / 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_underestimate_warns_at_the_end() {
    let pool = pool_of(Quota::tokens(10_000).per_day()).build().unwrap();
    let mut heard = pool.subscribe();
    let client = service_fn(async |_: Request<ReplayBody>| {
        let usage = r#"{"usage":{"prompt_tokens":100,"completion_tokens":9400,"total_tokens":9500}}"#;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(usage)))
    });
    let request =
        Request::post("https://api.openai.com/v1/chat/completions").body(Full::<Bytes>::from("{}")).unwrap();
    let answer = KeyRotationLayer::new(pool).layer(client).oneshot(request).await.unwrap();
    assert_eq!(thresholds(&mut heard), [0.0; 0]);
    drop(answer.into_body().collect().await.unwrap());
    assert_eq!(thresholds(&mut heard), [0.8, 0.95]);
}

#[tokio::test(start_paused = true)]
async fn the_thresholds_can_be_set() {
    for (shares, told) in
        [(vec![0.5, 0.25], vec![(1, 0.25), (2, 0.5)]), (vec![1.0], vec![(4, 1.0)]), (vec![], vec![])]
    {
        let pool = pool_of(Quota::requests(4).per_day()).warn_at(shares).build().unwrap();
        let mut heard = pool.subscribe();
        assert_eq!(use_up(&pool, &mut heard), told);
    }
    let pool = pool_of(Quota::requests(4).per_second().burst(4)).build().unwrap();
    let mut heard = pool.subscribe();
    assert_eq!(use_up(&pool, &mut heard), [], "what is back within seconds is for nobody to see to");
}
