//! Readiness and cancellation, against a mock that counts every step.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use support::{all_keys_failed, chat, pool, served};
use tokio::time::{sleep, timeout};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimit;
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{Commit, ProviderFallbackLayer, Route};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{Error, KeyPool, KeyRotationLayer};
use tower_test::mock::{self, SendResponse};

type Mock = mock::Mock<Request<ReplayBody>, Response<Full<Bytes>>>;
type Handle = mock::Handle<Request<ReplayBody>, Response<Full<Bytes>>>;

#[tokio::test(start_paused = true)]
async fn the_ready_instance_is_called_first() {
    let (service, mut handle) = rotating(&pool(&["a", "b"]));
    let mut service = task::spawn(service);

    handle.allow(0);
    assert_pending!(service.enter(|cx, service| ready(service.get_mut(), cx)));
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.enter(|cx, service| ready(service.get_mut(), cx)));

    let mut response = task::spawn(service.call(chat("m")));
    assert_pending!(response.poll());
    let (request, first) = assert_ready!(task::spawn(handle.next_request()).poll()).unwrap();
    assert_eq!(request.headers()["authorization"], format!("Bearer {}", support::secret("a")));
    first.send_response(answer(429));

    assert_pending!(response.poll());
    assert_pending!(task::spawn(handle.next_request()).poll(), "the second attempt is not allowed yet");
    handle.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    let (request, second) = assert_ready!(task::spawn(handle.next_request()).poll()).unwrap();
    assert_eq!(request.headers()["authorization"], format!("Bearer {}", support::secret("b")));
    second.send_response(answer(200));
    let response = assert_ready_ok!(response.poll());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(served(&response).key_id().as_str(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_broken_service_blames_no_key() {
    let pool = pool(&["a"]);
    let (service, mut handle) = rotating(&pool);
    let mut service = task::spawn(service);
    handle.send_error("the client is gone");
    let error = assert_ready_err!(service.enter(|cx, service| ready(service.get_mut(), cx)));
    assert!(matches!(error, Error::Service(_)));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the client is gone");
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Available);
}

/// An attempt that may have been executed is reported, although the attempt after it was not sent.
#[tokio::test(start_paused = true)]
async fn an_unsent_retry_hides_no_earlier_attempt() {
    for shed in [false, true] {
        for (status, should_retry) in [(504, Some("false")), (429, None)] {
            let (service, mut handle) = mock::pair::<Request<ReplayBody>, Response<Full<Bytes>>>();
            let service = KeyRotationLayer::new(pool(&["a", "b"])).resend_ambiguous(true).layer(service);
            let mut response = task::spawn(service.oneshot(chat("m")));
            handle.allow(if shed { 2 } else { 1 });
            assert_pending!(response.poll());
            next(&mut handle).send_response(answer(status));
            assert_pending!(response.poll());
            if shed {
                next(&mut handle).send_error(Overloaded::new());
            } else {
                handle.send_error("the client is gone");
            }
            let error = assert_ready_err!(response.poll());
            assert_eq!(matches!(error, Error::AllKeysFailed(_)), status == 504, "{status}, shed: {shed}");
            let response = error.into_response();
            let header = response.headers().get("x-should-retry").map(|value| value.to_str().unwrap());
            assert_eq!(header, should_retry, "{status}, shed: {shed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_releases_everything() {
    for stage in 0..5 {
        let pool = pool(&["a", "b"]);
        let (mut service, mut handle) = rotating(&pool);
        handle.allow(10);
        let mut response = start(&mut service).await;
        let mut answers = Vec::new();
        if stage >= 1 {
            assert_pending!(response.poll());
            answers.push(next(&mut handle));
        }
        if stage >= 2 {
            answers.pop().unwrap().send_response(answer(503));
            assert_pending!(response.poll(), "the back-off");
        }
        if stage >= 3 {
            tokio::time::advance(std::time::Duration::from_millis(500)).await;
            assert_pending!(response.poll());
            answers.push(next(&mut handle));
        }
        if stage >= 4 {
            answers.pop().unwrap().send_response(answer(200));
        }
        drop(response);

        let snapshot = pool.snapshot();
        assert!(snapshot.keys.iter().all(|key| key.state == KeyState::Available), "stage {stage}");
        assert!(snapshot.keys.iter().all(|key| key.faults == 0), "stage {stage}");
        assert!(pool.acquire(None).is_ok(), "stage {stage}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_leaves_is_handed_to_the_next() {
    let pool = pool(&["a"]);
    let (mut service, mut handle) = rotating(&pool);
    handle.allow(10);
    let failed = {
        let mut response = start(&mut service).await;
        assert_pending!(response.poll());
        let body = r#"{"error":{"message":"Please try again in 5s.","type":"requests","code":"rate_limit_exceeded"}}"#;
        let refusal = Response::builder().status(429).body(Full::from(body)).unwrap();
        next(&mut handle).send_response(refusal);
        all_keys_failed(assert_ready_err!(response.poll()))
    };
    assert_eq!(failed.retry_after(), Some(std::time::Duration::from_secs(5)));

    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    let mut probe = start(&mut service).await;
    assert_pending!(probe.poll());
    let _unanswered = next(&mut handle);
    let mut second = start(&mut service).await;
    assert_ready_err!(second.poll(), "a single probe");
    drop(probe);

    let mut third = start(&mut service).await;
    assert_pending!(third.poll());
    next(&mut handle).send_response(answer(200));
    assert_ready_ok!(third.poll());
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Available);
}

/// A concurrency limit queues a service that is polled. The service keeps its place until it is dropped.
#[tokio::test(start_paused = true)]
async fn an_abandoned_link_leaves_its_queue() {
    let second = Duration::from_secs(1);
    let busy = service_fn(move |_: Request<ReplayBody>| async move {
        sleep(3 * second).await;
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default().boxed_unsync()))
    });
    // The head comes at once, and the body, for which the chain waits, much later.
    let slow = service_fn(move |_: Request<ReplayBody>| async move {
        let frame = stream::once(async move {
            sleep(60 * second).await;
            Ok(Frame::data(Bytes::from_static(b"{}")))
        });
        Ok::<_, BoxError>(Response::new(StreamBody::new(frame).boxed_unsync()))
    });
    let busy = ConcurrencyLimit::new(busy, 1);
    let layer = ProviderFallbackLayer::new("busy").fallback("slow", slow, Route::new());
    let chain = layer.head_timeout(second).commit(Commit::Complete).layer(busy.clone());
    let request = || Request::new(ReplayBody::empty());

    let holding = tokio::spawn(busy.clone().oneshot(request()));
    sleep(second / 2).await;
    let waiting = tokio::spawn(chain.oneshot(chat("m")));
    sleep(4 * second).await;
    assert!(holding.await.unwrap().is_ok());
    let next = timeout(5 * second, busy.oneshot(request())).await;
    assert!(next.expect("the permit is free").is_ok());
    assert!(!waiting.is_finished(), "the chain is still at work");
    waiting.abort();
}

fn rotating(pool: &KeyPool) -> (tower_key_rotation::rotate::KeyRotation<Mock>, Handle) {
    let (mock, handle) = mock::pair();
    (KeyRotationLayer::new(pool.clone()).layer(mock), handle)
}

/// Fixes the body type, since the service accepts any.
fn ready<S>(service: &mut S, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>>
where
    S: Service<Request<Full<Bytes>>>,
{
    service.poll_ready(cx)
}

/// Calls a service that is ready.
async fn start<S>(service: &mut S) -> task::Spawn<S::Future>
where
    S: Service<Request<Full<Bytes>>>,
    S::Error: std::fmt::Debug,
{
    std::future::poll_fn(|cx| ready(service, cx)).await.unwrap();
    task::spawn(service.call(chat("m")))
}

fn next(handle: &mut Handle) -> SendResponse<Response<Full<Bytes>>> {
    assert_ready!(task::spawn(handle.next_request()).poll()).unwrap().1
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::default()).unwrap()
}
