//! Strict limits that are not declared, and upstreams that do not report them, or report them falsely.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{Deadline, KeyRotationLayer};
use tower_key_rotation_sim::{Latency, Limits, Simulator};

use support::{chat, key, pool, text};

const KEYS: [&str; 3] = ["a", "b", "c"];
const PER_SECOND: u32 = 50;
const OFFERED: u32 = 120;
const SECONDS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// The headers that the upstream sends about limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// The remaining amount, and the time to wait.
    Truth,
    /// The time to wait, on error responses only.
    Waits,
    /// The same, without the account to which a request is charged.
    Anonymous,
    /// A false remaining amount of 9,999 requests, on successes.
    Lies,
    /// The same, on error responses too.
    LiesAlways,
}

impl Said {
    fn falsify(self, status: StatusCode, headers: &mut HeaderMap) {
        if self == Self::Truth {
            return;
        }
        let names: Vec<_> =
            headers.keys().filter(|name| name.as_str().starts_with("x-ratelimit")).cloned().collect();
        for name in names {
            headers.remove(name);
        }
        if self == Self::Anonymous {
            headers.remove("openai-organization");
        }
        let lies = self == Self::LiesAlways || (self == Self::Lies && status.is_success());
        let said = [("limit", "10000"), ("remaining", "9999"), ("reset", "6ms")];
        for (field, value) in said.into_iter().filter(|_| lies) {
            let name = format!("x-ratelimit-{field}-requests");
            headers.insert(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value));
        }
    }
}

/// Returns the number of served requests, of all requests, and of refused calls.
async fn run(said: Said, seed: u64) -> (u64, u64, u64) {
    let limits = Limits::new().requests_per_second(PER_SECOND).burst(1);
    let latency = Latency::Uniform(Duration::from_millis(20)..Duration::from_millis(60));
    let sim = Simulator::openai().keys(KEYS.map(|label| key(label).limits(limits))).latency(latency).build();
    let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
    let (provider, way) = (sim.clone(), Arc::clone(&rng));
    let upstream = service_fn(move |request: Request<ReplayBody>| {
        // A busy machine: requests take different times to arrive.
        let way = Duration::from_micros(way.lock().unwrap().u64(0..=3_000));
        let provider = provider.clone();
        async move {
            sleep(way).await;
            let response = provider.oneshot(request).await;
            response.map(|mut response| {
                said.falsify(response.status(), response.headers_mut());
                response
            })
        }
    });
    let service = KeyRotationLayer::new(pool(&KEYS)).wait_for_key(true).layer(upstream);
    let mut times: Vec<_> = (0..OFFERED * SECONDS)
        .map(|number| {
            let second = f64::from(number / OFFERED);
            Duration::from_secs_f64(second + rng.lock().unwrap().f64())
        })
        .collect();
    times.sort();
    let (began, mut running) = (Instant::now(), JoinSet::new());
    for due in times {
        let service = service.clone();
        running.spawn(async move {
            sleep_until(began + due).await;
            let mut request: Request<Full<Bytes>> = chat("m");
            request.extensions_mut().insert(Deadline::at(began + due + PATIENCE));
            let Ok(response) = service.oneshot(request).await else { return false };
            let served = response.status().is_success();
            text(response).await;
            served
        });
    }
    let all = running.len() as u64;
    let served = running.join_all().await.into_iter().filter(|served| *served).count() as u64;
    let wasted = sim.calls() - sim.tally().with(StatusCode::OK);
    (served, all, wasted)
}

async fn keeps_to_strict_limits(said: Said) {
    let (served, all, wasted) = run(said, 1).await;
    let wasted = wasted as f64 / all as f64;
    let seen = format!("{said:?}: {served} of {all} served, {wasted:.3} refused calls a request");
    assert!(served * 100 >= all * 99 && wasted <= 0.3, "{seen}");
}

#[tokio::test(start_paused = true)]
async fn truthful_headers_keep_limits() {
    keeps_to_strict_limits(Said::Truth).await;
}

#[tokio::test(start_paused = true)]
async fn refusals_alone_keep_limits() {
    keeps_to_strict_limits(Said::Waits).await;
    keeps_to_strict_limits(Said::Anonymous).await;
}

#[tokio::test(start_paused = true)]
async fn false_headers_do_not_break_limits() {
    keeps_to_strict_limits(Said::Lies).await;
    keeps_to_strict_limits(Said::LiesAlways).await;
}
