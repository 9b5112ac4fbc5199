//! The reaction of a chain of providers to each fault: with one key and with three, streaming and not, at each
//! commit point. Calls and times are measured exactly, because the clock is paused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use support::{key, pool, send};
use tokio::time::{Instant, advance};
use tower::{BoxError, Layer, ServiceBuilder};
use tower_key_rotation::body::{ResponseBody, StreamError};
use tower_key_rotation::fallback::{
    BreakerPolicy, Commit, ContextLength, ProviderFallback, ProviderFallbackLayer, Route,
};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Error, KeyRotationLayer, Served};
use tower_key_rotation_sim::{Latency, Refusal, Script, SimBody, SimFault, Simulator};

type Body = ResponseBody<SimBody>;
type Chain = ProviderFallback<KeyRotation<Simulator>, Body>;

/// Every time limit of the chain.
const LIMIT: Duration = Duration::from_millis(250);
/// Tolerance for the pauses between the events of a stream, and for the granularity of timers.
const AT_ONCE: Duration = Duration::from_millis(20);

const COMMITS: [Commit; 3] = [Commit::Head, Commit::FirstContent, Commit::Complete];

/// One combination of settings for a request.
#[derive(Clone, Copy, Debug)]
struct Case {
    commit: Commit,
    keys: usize,
    stream: bool,
}

/// Two providers, of which the second serves.
struct Stage {
    first: Simulator,
    second: Simulator,
    chain: Chain,
    case: Case,
}

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// A whole response, from this link.
    Whole(String),
    /// A response that ended with an error of this kind.
    Broken(&'static str),
    /// An error response of this link.
    Refused(String, StatusCode),
    /// No response.
    Failed,
}

fn whole(link: &str) -> Came {
    Came::Whole(link.to_owned())
}

#[tokio::test(start_paused = true)]
async fn limited_keys_are_tried_once() {
    for hint in [Some(Duration::from_secs(60)), None] {
        let limited = move || match hint {
            Some(hint) => SimFault::rate_limited(hint),
            None => SimFault::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after: None },
        };
        each_case(Script::always(limited()), |stage| async move {
            assert_eq!(stage.ask().await, whole("second"));
            assert_eq!(stage.first.calls(), stage.case.keys as u64);
            assert_eq!(stage.ask().await, whole("second"));
            assert_eq!(
                stage.first.calls(),
                stage.case.keys as u64,
                "an exhausted pool is skipped without a call"
            );
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_500_costs_no_time() {
    each_case(Script::new().then(SimFault::status(500)), |stage| async move {
        let began = Instant::now();
        assert_eq!(stage.ask().await, whole("second"));
        assert!(began.elapsed_less(AT_ONCE));
        assert_eq!(stage.ask().await, whole("first"));
        assert_eq!(stage.first.calls(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_down_provider_is_rarely_called() {
    each_case(Script::always(SimFault::status(503)), |stage| async move {
        for _ in 0..40 {
            assert_eq!(stage.ask().await, whole("second"));
        }
        assert!(stage.first.calls() <= 6, "{} calls", stage.first.calls());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_the_head_costs_one_call() {
    each_case(Script::always(SimFault::Reset), |stage| async move {
        assert_eq!(stage.ask().await, whole("second"));
        assert_eq!(stage.first.calls(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_called_once() {
    each_case(Script::always(SimFault::Silent), |stage| async move {
        let began = Instant::now();
        assert_eq!(stage.ask().await, whole("second"));
        assert!(!began.elapsed_less(LIMIT) && began.elapsed_less(LIMIT + AT_ONCE));
        assert_eq!(stage.first.calls(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_content_times_out() {
    each_stream(Script::always(SimFault::SlowContent(10 * LIMIT)), |stage| async move {
        let began = Instant::now();
        let expected = match stage.case.commit {
            Commit::Head => Came::Broken("idle"),
            _ => whole("second"),
        };
        assert_eq!(stage.ask().await, expected);
        assert!(began.elapsed_less(LIMIT + AT_ONCE));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_never_ends_cleanly() {
    for reset in [false, true] {
        each_stream(Script::always(SimFault::Cut { after: 3, reset }), |stage| async move {
            match (stage.case.commit, stage.ask().await) {
                (Commit::Complete, came) => assert_eq!(came, whole("second")),
                (_, came) => {
                    assert!(matches!(came, Came::Broken(_)), "{came:?}");
                    assert_eq!(stage.second.calls(), 0, "what was begun is asked for nowhere else");
                }
            }
            assert_eq!(stage.first.calls(), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_ends_at_the_idle_timeout() {
    each_stream(Script::always(SimFault::Stall { after: 3 }), |stage| async move {
        let began = Instant::now();
        let expected = match stage.case.commit {
            Commit::Complete => whole("second"),
            _ => Came::Broken("idle"),
        };
        assert_eq!(stage.ask().await, expected);
        assert!(began.elapsed_less(LIMIT + AT_ONCE));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_event_before_the_commit_falls_over() {
    each_stream(Script::always(SimFault::Malformed { after: 0 }), |stage| async move {
        let came = stage.ask().await;
        match stage.case.commit {
            Commit::Head => assert!(matches!(came, Came::Broken(_)), "{came:?}"),
            _ => assert_eq!(came, whole("second")),
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_event_before_the_commit_falls_over() {
    let refusal = Refusal::Overloaded { retry_after: None };
    each_stream(
        Script::always(SimFault::ErrorEvent { after: 0, refusal: refusal.clone() }),
        |stage| async move {
            let came = stage.ask().await;
            match stage.case.commit {
                Commit::Head => assert!(matches!(came, Came::Broken(_)), "{came:?}"),
                _ => assert_eq!(came, whole("second")),
            }
        },
    )
    .await;
    each_stream(Script::always(SimFault::ErrorEvent { after: 3, refusal }), |stage| async move {
        let came = stage.ask().await;
        match stage.case.commit {
            Commit::Complete => assert_eq!(came, whole("second")),
            _ => assert!(matches!(came, Came::Broken(_)), "{came:?}"),
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_complete_stream_without_done_ends_cleanly() {
    each_stream(Script::always(SimFault::NoTerminator), |stage| async move {
        let began = Instant::now();
        assert_eq!(stage.ask().await, whole("first"));
        assert!(began.elapsed_less(AT_ONCE));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn context_length_falls_over_only_if_set() {
    each_case(Script::always(SimFault::Refuse(Refusal::ContextLength)), |stage| async move {
        assert_eq!(stage.ask().await, Came::Refused("first".to_owned(), StatusCode::BAD_REQUEST));
        assert_eq!(stage.second.calls(), 0);
    })
    .await;
    let falling_over = |layer: ProviderFallbackLayer<Body>| layer.context_length(ContextLength::FallOver);
    for case in cases() {
        let stage = Stage::with(case, Script::always(SimFault::Refuse(Refusal::ContextLength)), falling_over);
        assert_eq!(stage.ask().await, whole("second"));
        let stage = Stage::with(case, Script::always(SimFault::Refuse(Refusal::ContentFilter)), falling_over);
        assert!(matches!(stage.ask().await, Came::Refused(link, _) if link == "first"));
        assert_eq!(stage.second.calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flapping_provider_is_probed() {
    let case = Case { commit: Commit::FirstContent, keys: 1, stream: false };
    let quick = |layer: ProviderFallbackLayer<Body>| {
        layer.breaker(
            BreakerPolicy::default()
                .consecutive(3)
                .open_for(Duration::from_millis(50), Duration::from_millis(200)),
        )
    };
    let stage = Stage::with(case, Script::always(SimFault::status(503)), quick);
    let began = Instant::now();
    let mut asked = 0;
    while began.elapsed_less(Duration::from_millis(600)) {
        assert_eq!(stage.ask().await, whole("second"));
        asked += 1;
        advance(Duration::from_millis(5)).await;
    }
    assert!(asked > 50);
    // Three calls open the breaker. The probes follow at 50, 150, 350 and 550 ms at the earliest.
    assert!(stage.first.calls() <= 3 + 5, "{} calls for {asked} requests", stage.first.calls());

    stage.first.script(Script::new());
    let recovered = Instant::now();
    while stage.ask().await != whole("first") {
        assert!(recovered.elapsed_less(Duration::from_secs(2)), "back on the first choice within seconds");
        advance(Duration::from_millis(5)).await;
    }
    assert_eq!(stage.ask().await, whole("first"));
}

#[tokio::test(start_paused = true)]
async fn a_fully_limited_chain_fails_at_once() {
    for case in cases() {
        let limited = |seconds| Script::always(SimFault::rate_limited(Duration::from_secs(seconds)));
        let stage = Stage::with(case, limited(90), |layer| layer.deadline(Duration::from_secs(5)));
        stage.second.script(limited(40));
        let began = Instant::now();
        let error = send(&stage.chain, stage.request()).await.map(drop).unwrap_err();
        assert!(began.elapsed_less(AT_ONCE), "a wait that does not fit the deadline is not begun");
        let Error::AllProvidersFailed(failed) = error else { panic!("{error}") };
        assert_eq!(failed.providers().len(), 2);
        assert_eq!(failed.attempts().count(), 2 * case.keys);
        let wait = failed.retry_after().unwrap();
        assert!(wait <= Duration::from_secs(40) && wait > Duration::from_secs(38), "{wait:?}");
        let response = failed.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(["39", "40"].contains(&response.headers()["retry-after"].to_str().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_over_the_whole_chain() {
    let case = Case { commit: Commit::FirstContent, keys: 3, stream: false };
    let stage =
        Stage::with(case, Script::always(SimFault::rate_limited(LIMIT)), |layer| layer.max_attempts(4));
    stage.second.script(Script::always(SimFault::rate_limited(LIMIT)));
    assert_eq!(stage.ask().await, Came::Failed);
    assert_eq!(stage.first.calls() + stage.second.calls(), 4);
}

// === stages ===

fn cases() -> impl Iterator<Item = Case> {
    let all = COMMITS.into_iter().flat_map(|commit| [1, 3].map(|keys| (commit, keys)));
    all.flat_map(|(commit, keys)| [false, true].map(|stream| Case { commit, keys, stream }))
}

async fn each_case<F: Future<Output = ()>>(script: Script, check: impl Fn(Stage) -> F) {
    for case in cases() {
        check(Stage::with(case, script.clone(), |layer| layer)).await;
    }
}

async fn each_stream<F: Future<Output = ()>>(script: Script, check: impl Fn(Stage) -> F) {
    for case in cases().filter(|case| case.stream) {
        check(Stage::with(case, script.clone(), |layer| layer)).await;
    }
}

impl Stage {
    fn with(
        case: Case,
        script: Script,
        settings: impl FnOnce(ProviderFallbackLayer<Body>) -> ProviderFallbackLayer<Body>,
    ) -> Self {
        let labels = &["a", "b", "c"][..case.keys];
        let provider = || {
            let keys = labels.iter().map(|label| key(label));
            Simulator::openai().keys(keys).latency(Latency::None).event_gap(Duration::from_millis(1))
        };
        let (first, second) = (provider().script(script).build(), provider().build());
        let rotating = |sim: &Simulator| KeyRotationLayer::new(pool(labels)).layer(sim.clone());
        let layer = ProviderFallbackLayer::new("first")
            .fallback("second", rotating(&second), Route::new())
            .head_timeout(LIMIT)
            .first_content_timeout(LIMIT)
            .idle_timeout(LIMIT)
            .deadline(Duration::from_secs(20))
            .commit(case.commit);
        let chain = ServiceBuilder::new().layer(settings(layer)).service(rotating(&first));
        Self { first, second, chain, case }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let stream = self.case.stream;
        let body =
            format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        Request::post(format!("{}/v1/chat/completions", support::ORIGIN)).body(Full::from(body)).unwrap()
    }

    /// Sends one request and reads the response to its end.
    async fn ask(&self) -> Came {
        match send(&self.chain, self.request()).await {
            Ok(response) => self.read(response).await,
            Err(Error::AllProvidersFailed(_)) => Came::Failed,
            Err(error) => panic!("{:?}: {error}", self.case),
        }
    }

    async fn read(&self, response: Response<ResponseBody<Body>>) -> Came {
        let link = response.extensions().get::<Served>().unwrap().provider().to_owned();
        let status = response.status();
        match response.into_body().collect().await {
            Ok(body) if status.is_success() => {
                let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
                assert!(
                    body.contains("finish_reason\":\"stop\""),
                    "a truncated answer passed for whole: {body}"
                );
                Came::Whole(link)
            }
            Ok(_) => Came::Refused(link, status),
            Err(error) => Came::Broken(stream_error(error)),
        }
    }
}

fn stream_error(error: BoxError) -> &'static str {
    match error.downcast_ref::<StreamError>() {
        Some(StreamError::Truncated) => "truncated",
        Some(StreamError::Broken(_)) => "broken",
        Some(StreamError::Failed) => "failed",
        Some(StreamError::Idle(_)) => "idle",
        Some(StreamError::Malformed) => "malformed",
        other => panic!("an error without a type: {other:?} {error:?}"),
    }
}

trait ElapsedLess {
    fn elapsed_less(self, than: Duration) -> bool;
}

impl ElapsedLess for Instant {
    fn elapsed_less(self, than: Duration) -> bool {
        Self::now().saturating_duration_since(self) < than
    }
}
