//! Every attempt is listed, however it ended: at links without keys, held back, or cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use raw::{HeldClock, Raw, Step, json};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::Reason;
use tower_key_rotation::fallback::{AllProvidersFailed, ProviderFallbackLayer, Route};
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, Provider};

const LIMIT: Duration = Duration::from_secs(10);
const FAILED: &str = r#"{"error":{"message":"The server had an error","type":"server_error"}}"#;

/// The actions of an upstream, and the status and the reason of its attempt.
fn faults() -> [(Vec<Step>, Option<u16>, Reason); 5] {
    let whole = json(200, r#"{"choices":[]}"#);
    let cut = &whole[..whole.len() - 4];
    [
        (vec![Step::Outlast], None, Reason::Timeout),
        (vec![Step::Cut], None, Reason::Unreachable),
        (vec![Step::send(json(500, FAILED))], Some(500), Reason::ServerError),
        (vec![Step::send(cut), Step::Cut], Some(200), Reason::Truncated),
        (vec![Step::send(cut), Step::Outlast], Some(200), Reason::Timeout),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_link_without_keys_lists_its_attempt() {
    let _clock = HeldClock::new();
    for (script, status, reason) in faults() {
        let upstream = Raw::serving(script.clone()).await;
        let failed = failure_of(&upstream, false, None).await;
        let attempt = failed.attempts().next().expect("an attempt");
        assert_eq!(attempt.key, None);
        assert_eq!((attempt.status.map(|status| status.as_u16()), attempt.fault.reason()), (status, reason));
        assert_eq!(failed.attempts().count(), upstream.calls(), "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_lists_the_last_attempt() {
    let _clock = HeldClock::new();
    for (script, ..) in [&faults()[0], &faults()[4]] {
        for keys in [false, true] {
            let upstream = Raw::serving(script.clone()).await;
            let failed = failure_of(&upstream, keys, Some(LIMIT / 2)).await;
            let attempts: Vec<_> = failed.attempts().collect();
            assert!(failed.deadline_passed() && failed.may_have_run(), "{failed}");
            assert_eq!(attempts.len(), 1, "{failed}");
            assert_eq!(attempts[0].fault.reason(), Reason::Timeout);
            assert!(attempts[0].duration >= LIMIT / 2, "{failed}");
        }
    }
}

async fn failure_of(upstream: &Raw, keys: bool, deadline: Option<Duration>) -> AllProvidersFailed {
    let client: Client<HttpConnector, ReplayBody> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post("http://llm.test/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(r#"{"model":"m","messages":[]}"#))
        .unwrap();
    let error = if keys {
        let provider = Provider::openai().with_origin(upstream.origin().parse().unwrap());
        let key = ApiKey::new(support::secret("a")).unwrap();
        let rotating = KeyRotationLayer::new(KeyPool::builder(provider).key(key).build().unwrap());
        chain(upstream, deadline).layer(rotating.layer(client)).oneshot(request).await.map(drop).unwrap_err()
    } else {
        let client = ServiceBuilder::new().map_err(BoxError::from).service(client);
        chain(upstream, deadline).layer(client).oneshot(request).await.map(drop).unwrap_err()
    };
    match error {
        Error::AllProvidersFailed(failed) => *failed,
        other => panic!("{other}"),
    }
}

fn chain<B>(upstream: &Raw, deadline: Option<Duration>) -> ProviderFallbackLayer<B> {
    ProviderFallbackLayer::new("first")
        .route(Route::to(&format!("{}/v1", upstream.origin())).unwrap())
        .head_timeout(LIMIT)
        .idle_timeout(LIMIT)
        .deadline(deadline.unwrap_or(LIMIT * 10))
        .backoff(Duration::ZERO, Duration::ZERO)
}
