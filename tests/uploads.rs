//! Request bodies that arrive slowly, or stop in the middle: the time counts against their caller only, and nothing
//! that other requests need is held meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use support::{ORIGIN, chat, pool, send};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallbackLayer, Route};
use tower_key_rotation::{Deadline, Error, KeyPool, KeyRotationLayer};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);

type Plain = Full<Bytes>;
type Link = BoxCloneSyncService<Request<ReplayBody>, Response<Plain>, BoxError>;
type Pieces = StreamBody<std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

fn upload(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Request<Pieces> {
    let frames = pieces.map(|piece| Ok(Frame::data(piece))).boxed();
    let request = Request::post(format!("{ORIGIN}/v1/chat/completions"));
    request.header("content-type", "application/json").body(StreamBody::new(frames)).unwrap()
}

/// A chat request with one piece every `gap`.
fn slow(gap: Duration) -> Request<Pieces> {
    let pieces = [r#"{"model":"#, r#""m","#, r#""messages""#, ":[", "]}"];
    upload(stream::iter(pieces).then(move |piece| async move {
        sleep(gap).await;
        Bytes::from(piece)
    }))
}

/// A body that begins with this number of bytes and then stops.
fn stalled(bytes: usize) -> Request<Pieces> {
    let first = Bytes::from(vec![b' '; bytes]);
    upload(stream::once(async { first }).chain(stream::once(pending())))
}

/// Reads the whole body, then responds after `wait`.
fn reads(name: &'static str, wait: Duration) -> Link {
    BoxCloneSyncService::new(service_fn(move |request: Request<ReplayBody>| async move {
        request.into_body().collect().await?;
        sleep(wait).await;
        Ok::<_, BoxError>(Response::new(Full::from(name)))
    }))
}

/// The same behind a rotation layer with a pool of its own.
fn rotating(
    inner: Link,
) -> impl Service<
    Request<ReplayBody>,
    Response = Response<tower_key_rotation::body::ResponseBody<Plain>>,
    Error = Error,
    Future: Send,
> + Clone
+ Send
+ Sync {
    KeyRotationLayer::new(pool(&["a"])).layer(inner)
}

async fn text<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> String {
    let bytes = response.into_body().collect().await.unwrap_or_else(|e| panic!("{e:?}")).to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_blames_no_provider() {
    uploads_slowly(reads("first", SECOND), reads("second", SECOND)).await;
    uploads_slowly(rotating(reads("first", SECOND)), rotating(reads("second", SECOND))).await;
}

async fn uploads_slowly<S, B>(first: S, second: S)
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let layer = ProviderFallbackLayer::new("0").head_timeout(LIMIT);
    let chain = layer.fallback("1", second, Route::new()).layer(first);
    // More requests in a row than open a breaker, each with pauses longer than the limit.
    for _ in 0..8 {
        let response = chain.clone().oneshot(slow(LIMIT + SECOND)).await.unwrap();
        assert_eq!(text(response).await, "first");
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_for_the_head_runs_from_the_end_of_the_body() {
    let silent = || reads("never", Duration::from_secs(1_000_000));
    let began = Instant::now();
    assert!(fails(limited(), silent(), slow(3 * SECOND)).await);
    assert_eq!(Instant::now().saturating_duration_since(began).as_secs(), 5 * 3 + 2);
    let began = Instant::now();
    assert!(fails(limited(), rotating(silent()), slow(3 * SECOND)).await);
    assert_eq!(Instant::now().saturating_duration_since(began).as_secs(), 5 * 3 + 2);
}

fn limited<B>() -> ProviderFallbackLayer<B> {
    ProviderFallbackLayer::new("0").head_timeout(LIMIT).max_attempts(1)
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_read_times_out() {
    let deaf: Link = BoxCloneSyncService::new(service_fn(|request: Request<ReplayBody>| async move {
        let _unread = request;
        pending::<Result<Response<Plain>, BoxError>>().await
    }));
    let began = Instant::now();
    assert!(fails(limited(), deaf, stalled(10)).await);
    assert_eq!(Instant::now().saturating_duration_since(began), LIMIT);
}

async fn fails<S, B>(layer: ProviderFallbackLayer<B>, link: S, request: Request<Pieces>) -> bool
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let answered = timeout(Duration::from_secs(100), layer.layer(link).oneshot(request)).await;
    answered.expect("it ends").is_err()
}

// === probes ===

/// Refuses the first request for a second, and serves all others.
fn limited_once() -> Link {
    let refusals = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(1));
    BoxCloneSyncService::new(service_fn(move |request: Request<ReplayBody>| {
        let refused = refusals.fetch_update(
            std::sync::atomic::Ordering::Relaxed,
            std::sync::atomic::Ordering::Relaxed,
            |left| left.checked_sub(1),
        );
        async move {
            request.into_body().collect().await?;
            let mut response = Response::new(Full::from("served"));
            if refused.is_ok() {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
            }
            Ok::<_, BoxError>(response)
        }
    }))
}

/// A rotation layer over one key, which is due for a probe.
async fn due() -> (KeyPool, impl Fn(Request<Pieces>) -> JoinHandle<bool>) {
    let pool = pool(&["a"]);
    let service = KeyRotationLayer::new(pool.clone()).layer(limited_once());
    assert!(send(&service, chat("m")).await.is_err());
    sleep(2 * SECOND).await;
    let call = move |request| tokio::spawn(service.clone().oneshot(request).map(|served| served.is_ok()));
    (pool, call)
}

#[tokio::test(start_paused = true)]
async fn a_stalled_upload_holds_no_probe() {
    for bytes in [1, 4 * ReplayBody::CAP] {
        let (_pool, call) = due().await;
        let stalled = call(stalled(bytes));
        // A body that can be recorded is awaited without a key. For any other the probe has to be given back.
        sleep(3 * SECOND).await;
        assert!(call(slow(SECOND)).await.unwrap(), "{bytes} bytes");
        assert!(!stalled.is_finished());
        stalled.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_probes_after_it_arrived() {
    let (_pool, call) = due().await;
    assert!(call(slow(10 * SECOND)).await.unwrap());
    assert!(call(slow(SECOND)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_long_upload_probes_while_it_arrives() {
    let (_pool, call) = due().await;
    let piece = Bytes::from(vec![b' '; ReplayBody::CAP / 3]);
    let pieces = stream::iter(0..9).then(move |_| {
        let piece = piece.clone();
        async move {
            sleep(SECOND / 10).await;
            piece
        }
    });
    assert!(call(upload(pieces)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_upload_ends_at_its_deadline() {
    let (pool, call) = due().await;
    let mut request = stalled(10);
    request.extensions_mut().insert(Deadline::at(Instant::now() + 5 * SECOND));
    let began = Instant::now();
    assert!(!call(request).await.unwrap());
    assert_eq!(Instant::now().saturating_duration_since(began), 5 * SECOND);
    assert!(call(slow(SECOND)).await.unwrap());
    assert_eq!(pool.snapshot().keys[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_upload_holds_no_probe_of_a_breaker() {
    for bytes in [1, 4 * ReplayBody::CAP] {
        let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let is_down = std::sync::Arc::clone(&down);
        let link: Link = BoxCloneSyncService::new(service_fn(move |request: Request<ReplayBody>| {
            let down = is_down.load(std::sync::atomic::Ordering::Relaxed);
            async move {
                request.into_body().collect().await?;
                let mut response = Response::new(Full::from("served"));
                if down {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
                Ok::<_, BoxError>(response)
            }
        }));
        let policy = BreakerPolicy::new().consecutive(1).open_for(SECOND, SECOND);
        let chain = ProviderFallbackLayer::new("0").breaker(policy).max_attempts(1).layer(link);
        assert!(chain.clone().oneshot(slow(SECOND)).await.is_err());
        down.store(false, std::sync::atomic::Ordering::Relaxed);
        sleep(2 * SECOND).await;
        let stalled = tokio::spawn(chain.clone().oneshot(stalled(bytes)));
        sleep(3 * SECOND).await;
        let response = timeout(60 * SECOND, chain.clone().oneshot(slow(SECOND))).await.unwrap();
        assert_eq!(text(response.unwrap()).await, "served", "{bytes} bytes");
        assert!(!stalled.is_finished());
        stalled.abort();
    }
}

// === models that are renamed ===

#[tokio::test(start_paused = true)]
async fn waiting_for_a_body_to_rename_its_model_ends_at_the_deadline() {
    let layer = ProviderFallbackLayer::new("0").deadline(5 * SECOND).route(Route::new().any_model("ours"));
    let began = Instant::now();
    assert!(fails(layer, reads("never", SECOND), stalled(10)).await);
    assert_eq!(Instant::now().saturating_duration_since(began), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_body_too_long_to_be_renamed_falls_over() {
    let layer = ProviderFallbackLayer::new("0").route(Route::new().any_model("ours"));
    let chain = layer.fallback("1", reads("second", SECOND), Route::new()).layer(reads("first", SECOND));
    let piece = Bytes::from(vec![b' '; ReplayBody::CAP / 3]);
    let response = chain.oneshot(upload(stream::repeat(piece).take(5))).await.unwrap();
    assert_eq!(text(response).await, "second");
}
