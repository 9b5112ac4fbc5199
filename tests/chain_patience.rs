//! A patient chain waits for the time that a provider states, and retries faults that may pass, before it calls the
//! next provider. It soon returns to a provider that has recovered.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use support::{chat_stream, key, pool, send};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder};
use tower_key_rotation::body::ResponseBody;
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Deadline, Error, KeyRotationLayer, Served};
use tower_key_rotation_sim::{Script, SimBody, SimFault, Simulator};

type Body = ResponseBody<SimBody>;
type Chain = ProviderFallback<KeyRotation<Simulator>, Body>;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);

/// Each case: the first provider's script with one key, the provider that serves, and the seconds until then.
#[tokio::test(start_paused = true)]
async fn patience_waits_for_stated_times_and_brief_faults() {
    let once = |fault: SimFault| Script::new().then(fault);
    let cases = [
        (once(SimFault::rate_limited(2 * SECOND)), "0", 2),
        (once(SimFault::rate_limited(4 * SECOND)), "1", 0),
        (Script::new().then_times(2, SimFault::rate_limited(2 * SECOND)), "1", 2),
        (once(SimFault::overloaded()), "0", 0),
        (once(SimFault::status(500)), "0", 0),
        (once(SimFault::overloaded_in_stream()), "0", 0),
        (Script::always(SimFault::overloaded()), "1", 0),
        (once(SimFault::Refused), "0", 0),
        // The following requests may have been executed.
        (once(SimFault::Reset), "1", 0),
        (once(SimFault::Cut { after: 0, reset: false }), "1", 0),
        (once(SimFault::NoTerminator), "0", 0),
    ];
    for (script, by, seconds) in cases {
        let shown = format!("{script:?}");
        let sims = [provider(), provider()];
        sims[0].script(script);
        let began = Instant::now();
        let served = ask(&chain(&sims, |layer| layer.patience(PATIENCE)), 60 * SECOND).await.unwrap();
        assert_eq!(
            (served.as_str(), Instant::now().saturating_duration_since(began).as_secs()),
            (by, seconds),
            "{shown}"
        );
        assert!(sims[0].calls() <= 2, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn patience_keeps_attempts_and_the_deadline() {
    let sims = [provider(), provider()];
    sims[0].script(Script::always(SimFault::rate_limited(2 * SECOND)));
    let patient = chain(&sims, |layer| layer.patience(PATIENCE).max_attempts(2));
    assert_eq!(ask(&patient, 60 * SECOND).await.unwrap(), "1");
    sleep(60 * SECOND).await;
    let began = Instant::now();
    let patient = chain(&sims, |layer| layer.patience(PATIENCE));
    assert_eq!(ask(&patient, SECOND).await.unwrap(), "1");
    assert_eq!(Instant::now(), began, "a wait of two seconds does not fit");
}

#[tokio::test(start_paused = true)]
async fn a_recovered_provider_is_used_within_15_seconds() {
    for outage in [1, 5, 20, 61, 900] {
        let sims = [provider(), provider()];
        let chain = chain(&sims, |layer| layer);
        sims[0].script(Script::always(SimFault::status(503)));
        let began = Instant::now();
        while Instant::now().saturating_duration_since(began) < outage * SECOND {
            assert_eq!(ask(&chain, 60 * SECOND).await.unwrap(), "1");
            sleep(SECOND / 4).await;
        }
        sims[0].script(Script::new());
        let back = Instant::now();
        while ask(&chain, 60 * SECOND).await.unwrap() == "1" {
            sleep(SECOND / 4).await;
        }
        assert!(
            Instant::now().saturating_duration_since(back) <= 15 * SECOND,
            "{outage} s: {:?}",
            Instant::now().saturating_duration_since(back)
        );
    }
}

// === helpers ===

fn provider() -> Simulator {
    Simulator::openai().key(key("a")).build()
}

fn chain(
    sims: &[Simulator; 2],
    settings: impl FnOnce(ProviderFallbackLayer<Body>) -> ProviderFallbackLayer<Body>,
) -> Chain {
    let link = |number: usize| KeyRotationLayer::new(pool(&["a"])).layer(sims[number].clone());
    let layer = settings(ProviderFallbackLayer::new("0")).fallback("1", link(1), Route::new());
    ServiceBuilder::new().layer(layer).service(link(0))
}

/// Returns the name of the provider that serves.
async fn ask(chain: &Chain, limit: Duration) -> Result<String, Error> {
    let mut request = chat_stream("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + limit));
    let response = send(chain, request).await?;
    Ok(response.extensions().get::<Served>().unwrap().provider().to_owned())
}
