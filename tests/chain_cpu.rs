//! The processor time of a chain that waits for a key, on the real clock.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use support::{chat, key, pool, rotating, send, text};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tower_key_rotation::fallback::ProviderFallbackLayer;
use tower_key_rotation::{Deadline, KeyRotationLayer};
use tower_key_rotation_sim::{Latency, SimFault, Simulator};

const SECOND: Duration = Duration::from_secs(1);

/// Maximum number of polls of a request that waits once.
const POLLS: u32 = 50;
/// Maximum processor time of such a request.
const CPU: Duration = Duration::from_millis(5);

/// The wait of a second leaves just enough, or not quite enough, of the deadline for a response, which takes
/// 200 ms.
#[tokio::test]
async fn a_request_that_waits_in_a_chain_takes_hardly_any_processor_time() {
    for deadline in [1_250, 1_300, 1_400] {
        let sim = Simulator::openai().key(key("a")).latency(Latency::Fixed(SECOND / 5)).build();
        let chain = ProviderFallbackLayer::new("only").layer(rotating(&pool(&["a"]), &sim));
        measure(&sim, chain, Duration::from_millis(deadline)).await;
    }
}

#[tokio::test]
async fn a_request_that_waits_in_a_rotation_takes_hardly_any_processor_time() {
    let sim = Simulator::openai().key(key("a")).latency(Latency::Fixed(SECOND / 5)).build();
    let rotation = KeyRotationLayer::new(pool(&["a"])).wait_for_key(true).layer(sim.clone());
    measure(&sim, rotation, 2 * SECOND).await;
}

/// Sends a request that is refused with a wait of a second, after another one that was served.
async fn measure<S, B>(sim: &Simulator, service: S, deadline: Duration)
where
    S: tower::Service<
            http::Request<http_body_util::Full<bytes::Bytes>>,
            Response = http::Response<B>,
            Error = tower_key_rotation::Error,
        > + Clone,
    B: http_body::Body,
    B::Error: Into<tower::BoxError>,
{
    text(send(&service, chat("m")).await.unwrap()).await;
    sim.set_latency(Latency::None);
    sim.key("a").fail(1, SimFault::rate_limited(SECOND));
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + deadline));
    let (mut polls, before) = (0, on_cpu());
    let mut response = pin!(service.oneshot(request));
    let response = poll_fn(|context| {
        polls += 1;
        assert!(polls <= POLLS, "{deadline:?}: it spins");
        response.as_mut().poll(context)
    })
    .await;
    let spent = on_cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
    eprintln!("{deadline:?}: {polls} polls, {spent:?}");
    match spent {
        Some(spent) => assert!(spent < CPU, "{deadline:?}: {spent:?}"),
        None => eprintln!("SKIPPED in part: the processor time of a thread is measured on Linux only"),
    }
    drop(response);
}

/// Returns the time that this thread has spent on a processor; `None` where the test does not know how to ask.
#[cfg(target_os = "linux")]
fn on_cpu() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(target_os = "linux"))]
fn on_cpu() -> Option<Duration> {
    None
}
