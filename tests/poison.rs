//! No request of one caller takes keys away from other callers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use support::{at_sim, pool_of, secret, send, served};
use tokio::time::{Instant, advance, sleep};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::event::{EventKind, Subscription};
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{ApiKey, Deadline, Error, KeyPool, KeyRotationLayer, ModelId, Provider};

const SECOND: Duration = Duration::from_secs(1);
const LABELS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A path that is refused with every key.
const BAD: &str = "/v1/embeddings";

/// An error response of a provider.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    provider: &'static str,
    status: u16,
    body: &'static str,
}

const fn refusal(provider: &'static str, status: u16, body: &'static str) -> Refusal {
    Refusal { provider, status, body }
}

const BARE_401: Refusal = refusal("openai", 401, "");
const NAMED_401: Refusal = refusal(
    "openai",
    401,
    r#"{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","code":"invalid_api_key"}}"#,
);
const BARE_402: Refusal = refusal("compatible", 402, "");
const MONEY_402: Refusal = refusal(
    "deepseek",
    402,
    r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
);
const BARE_403: Refusal = refusal("openai", 403, "");
const MONEY_403: Refusal = refusal(
    "xai",
    403,
    r#"{"code":"The caller does not have permission to execute the specified operation","error":"Your newly created teams doesn't have any credits yet."}"#,
);

const MONEY_429: Refusal = refusal(
    "openai",
    429,
    r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
);

const REFUSALS: [Refusal; 18] = [
    BARE_401,
    NAMED_401,
    refusal("openai", 401, r#"{"error":{"message":"Unauthorized"}}"#),
    refusal(
        "anthropic",
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
    ),
    refusal("compatible", 401, r#"{"error":"unauthorized"}"#),
    BARE_402,
    MONEY_402,
    BARE_403,
    MONEY_403,
    MONEY_429,
    refusal(
        "zhipu",
        429,
        r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package."}}"#,
    ),
    refusal("openai", 403, r#"{"error":{"message":"You are not allowed to sample from this model"}}"#),
    refusal(
        "gemini",
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
    ),
    refusal(
        "gemini",
        403,
        r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#,
    ),
    refusal(
        "anthropic",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
    ),
    refusal(
        "anthropic",
        403,
        r#"{"type":"error","error":{"type":"permission_error","message":"Permission denied"}}"#,
    ),
    refusal("fireworks", 412, r#"{"error":{"message":"Account x is suspended."}}"#),
    refusal(
        "openrouter",
        402,
        r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only afford 4021.","code":402}}"#,
    ),
];

/// Refusals of one resource or one header of the caller, which do not concern the key.
const OF_A_THING: [Refusal; 9] = [
    refusal(
        "openai",
        401,
        r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write."}}"#,
    ),
    refusal(
        "gemini",
        403,
        r#"{"error":{"code":403,"message":"CachedContent not found (or permission denied)","status":"PERMISSION_DENIED"}}"#,
    ),
    refusal(
        "gemini",
        403,
        r#"{"error":{"code":403,"message":"You do not have permission to access the File abc or it may not exist.","status":"PERMISSION_DENIED"}}"#,
    ),
    refusal(
        "anthropic",
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"CORS requests must set 'anthropic-dangerous-direct-browser-access' header"}}"#,
    ),
    refusal(
        "azure",
        401,
        r#"{"error":{"code":"PermissionDenied","message":"The principal lacks the required data action"}}"#,
    ),
    refusal(
        "github-models",
        401,
        r#"{"error":{"code":"unauthorized","message":"The `models` permission is required to access this endpoint"}}"#,
    ),
    refusal("compatible", 403, r#"{"error":{"code":"insufficient_scope","message":"no"}}"#),
    refusal(
        "openrouter",
        402,
        r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only afford 4021.","code":402}}"#,
    ),
    refusal(
        "litellm",
        401,
        r#"{"error":{"message":"Virtual key is not allowed to call this route.","code":"401"}}"#,
    ),
];

/// The responses of an upstream, and the calls of each key.
#[derive(Clone, Default)]
struct Upstream(Arc<State>);

#[derive(Default)]
struct State {
    /// The response at the bad path, with any key.
    bad: Mutex<Option<Refusal>>,
    /// The keys that are refused everywhere, and their response.
    keys: Mutex<HashMap<String, Refusal>>,
    calls: Mutex<Vec<String>>,
    delay: Mutex<Duration>,
}

type Inner = BoxCloneSyncService<Request<ReplayBody>, Response<Full<Bytes>>, BoxError>;
type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<ResponseBody<Full<Bytes>>>, Error>;

impl Upstream {
    fn bad(refusal: Refusal) -> Self {
        let this = Self::default();
        *this.0.bad.lock().unwrap() = Some(refusal);
        this
    }

    fn refuse(self, label: &str, refusal: Refusal) -> Self {
        self.set(label, Some(refusal));
        self
    }

    fn set(&self, label: &str, refusal: Option<Refusal>) {
        let mut keys = self.0.keys.lock().unwrap();
        match refusal {
            Some(refusal) => keys.insert(label.to_owned(), refusal),
            None => keys.remove(label),
        };
    }

    /// Returns the keys of the calls since the last time.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.calls.lock().unwrap())
    }

    fn answer(&self, request: &Request<ReplayBody>) -> Response<Full<Bytes>> {
        let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let key = ["authorization", "x-api-key", "x-goog-api-key", "api-key"].into_iter().find_map(text);
        let label = key.unwrap().rsplit('-').next().unwrap().to_owned();
        let refusal = self.0.keys.lock().unwrap().get(&label).copied();
        let bad = *self.0.bad.lock().unwrap();
        let refusal = refusal.or_else(|| bad.filter(|_| request.uri().path() == BAD));
        self.0.calls.lock().unwrap().push(label);
        let (status, body) = refusal.map_or((200, "{}"), |refusal| (refusal.status, refusal.body));
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(Full::from(body)).unwrap()
    }

    fn client(&self) -> Inner {
        let this = self.clone();
        BoxCloneSyncService::new(service_fn(move |request: Request<ReplayBody>| {
            let (this, delay) = (this.clone(), *this.0.delay.lock().unwrap());
            async move {
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                Ok::<_, BoxError>(this.answer(&request))
            }
        }))
    }

    fn service(&self, pool: &KeyPool) -> Client {
        BoxCloneSyncService::new(KeyRotationLayer::new(pool.clone()).layer(self.client()))
    }
}

fn pool(provider: &str, labels: &[&str]) -> KeyPool {
    pool_of(Provider::preset(provider).unwrap_or_else(|| Provider::compatible("compatible")), labels)
}

/// A request of another caller.
fn chat() -> Request<Full<Bytes>> {
    support::chat("m")
}

/// A request that the provider refuses, with the model that other requests name, or without one.
fn bad(model: bool) -> Request<Full<Bytes>> {
    let body = if model { r#"{"model":"m"}"# } else { "" };
    let request =
        Request::post(format!("{}{BAD}", support::ORIGIN)).header("content-type", "application/json");
    request.body(Full::from(body)).unwrap()
}

/// Returns the status that the caller sees, with or without the layer for responses.
async fn status(service: &Client, request: Request<Full<Bytes>>) -> StatusCode {
    match service.clone().oneshot(request).await {
        Ok(response) => response.status(),
        Err(Error::AllKeysFailed(failed)) => {
            failed.into_last_response().map_or(StatusCode::TOO_MANY_REQUESTS, |response| response.status())
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_all_usable(pool: &KeyPool, why: &str) {
    for key in pool.snapshot().keys {
        assert_eq!((key.state, &*key.models), (KeyState::Available, &[][..]), "{why}: {}", key.id);
    }
}

fn alarms(heard: &mut Subscription) -> Vec<EventKind> {
    std::iter::from_fn(|| heard.next().now_or_never().flatten())
        .map(|event| event.unwrap().kind)
        .filter(|kind| {
            matches!(
                kind,
                EventKind::InvalidKey { .. } | EventKind::CooledDown { .. } | EventKind::Exhausted { .. }
            )
        })
        .collect()
}

// === a request that is refused with every key ===

#[tokio::test(start_paused = true)]
async fn no_response_of_one_path_affects_others() {
    for refusal in REFUSALS.into_iter().chain(OF_A_THING) {
        for keys in [1, 2, 6] {
            for (warmed, times, model) in
                [(true, 1, true), (true, 3, false), (false, 1, false), (false, 3, true)]
            {
                let why = format!("{refusal:?}, {keys} keys, warmed: {warmed}, {times} times, {model}");
                let pool = pool(refusal.provider, &LABELS[..keys]);
                let upstream = Upstream::bad(refusal);
                let service = upstream.service(&pool);
                let mut heard = pool.subscribe();
                for _ in 0..if warmed { keys } else { 0 } {
                    assert_eq!(status(&service, chat()).await, StatusCode::OK, "{why}");
                }
                for _ in 0..times {
                    assert_eq!(status(&service, bad(model)).await, refusal.status, "{why}");
                    assert_all_usable(&pool, &why);
                }
                upstream.calls();
                let began = Instant::now();
                for _ in 0..keys {
                    assert_eq!(status(&service, chat()).await, StatusCode::OK, "{why}");
                }
                assert_eq!(Instant::now().saturating_duration_since(began), Duration::ZERO, "{why}");
                let mut calls = upstream.calls();
                calls.sort();
                assert_eq!(calls, LABELS[..keys], "{why}: every key has its turn");
                assert_eq!(alarms(&mut heard), [], "{why}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_refusal_stops_at_two_keys_in_good_standing() {
    for refusal in [BARE_401, BARE_403] {
        let pool = pool(refusal.provider, &LABELS);
        let upstream = Upstream::bad(refusal);
        let service = upstream.service(&pool);
        for _ in LABELS {
            status(&service, chat()).await;
        }
        upstream.calls();
        let response = service.clone().oneshot(bad(true)).await.unwrap();
        assert_eq!((response.status().as_u16(), served(&response).attempts().len()), (refusal.status, 1));
        assert_eq!(served(&response).attempts()[0].cooldown, None, "undone");
        assert_eq!(upstream.calls().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_reason_tries_every_account() {
    for refusal in [MONEY_402, BARE_402, MONEY_403, MONEY_429, NAMED_401] {
        let pool = pool(refusal.provider, &LABELS);
        let upstream = Upstream::bad(refusal);
        let service = upstream.service(&pool);
        for _ in LABELS {
            status(&service, chat()).await;
        }
        upstream.calls();
        status(&service, bad(true)).await;
        assert_eq!(upstream.calls().len(), 6, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_are_tried_once() {
    let refusal = MONEY_402;
    let provider = at_sim(Provider::preset(refusal.provider).unwrap());
    let key = |label: &&str| ApiKey::new(secret(label)).unwrap().id(*label).account("org");
    let pool = KeyPool::builder(provider).keys(LABELS.iter().map(key)).build().unwrap();
    let upstream = Upstream::bad(refusal);
    let service = upstream.service(&pool);
    assert_eq!(status(&service, bad(true)).await, 402);
    assert_eq!(upstream.calls().len(), 1, "the account has refused it");
    assert_all_usable(&pool, "it is the last account");
    assert_eq!(status(&service, chat()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn concurrent_bad_requests_leave_a_key() {
    for refusal in REFUSALS {
        for keys in [1, 2, 6] {
            let pool = pool(refusal.provider, &LABELS[..keys]);
            let upstream = Upstream::bad(refusal);
            *upstream.0.delay.lock().unwrap() = SECOND;
            let service = upstream.service(&pool);
            let attacks = futures_util::future::join_all((0..50).map(|number| {
                let service = service.clone();
                async move {
                    sleep(Duration::from_millis(number * 37)).await;
                    status(&service, bad(number % 2 == 0)).await
                }
            }));
            let others = async {
                for _ in 0..100 {
                    sleep(Duration::from_millis(23)).await;
                    assert_eq!(status(&service, chat()).await, 200, "{refusal:?}, {keys} keys");
                }
            };
            tokio::join!(attacks, others);
            assert_all_usable(&pool, &format!("{refusal:?}, {keys} keys"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_proven_key_in_doubt_stays_usable() {
    for refusal in [NAMED_401, MONEY_402, MONEY_403, MONEY_429] {
        let pool = pool(refusal.provider, &LABELS);
        let upstream = Upstream::bad(refusal);
        let service = upstream.service(&pool);
        for _ in LABELS {
            status(&service, chat()).await;
        }
        *upstream.0.delay.lock().unwrap() = SECOND;
        let watch = async {
            for _ in 0..6 {
                sleep(SECOND).await;
                assert_all_usable(&pool, "the request is slow");
            }
        };
        let (refused, ()) = tokio::join!(status(&service, bad(false)), watch);
        assert_eq!(refused, refusal.status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_leaves_a_key_for_every_model() {
    let model = ModelId::from("m");
    for (cooling, with_model) in [(Some(&model), false), (None, false), (None, true)] {
        let pool = pool("openai", &["a", "b"]);
        pool.cool_down(&"b".into(), cooling, 60 * SECOND).unwrap();
        let upstream = Upstream::bad(NAMED_401);
        *upstream.0.delay.lock().unwrap() = SECOND;
        let service = upstream.service(&pool);
        let others = async {
            for _ in 0..8 {
                sleep(SECOND / 4).await;
                assert_eq!(status(&service, chat()).await, 200, "{cooling:?} {with_model}");
            }
        };
        tokio::join!(status(&service, bad(with_model)), others);
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_of_several_keys_are_doubted_as_one() {
    let provider = at_sim(Provider::preset("deepseek").unwrap());
    let key = |(label, account): (&str, &'static str)| {
        ApiKey::new(secret(label)).unwrap().id(label).account(account)
    };
    let keys = LABELS.into_iter().zip(["x", "y", "x", "y", "z", "z"]).map(key);
    let pool = KeyPool::builder(provider).keys(keys).build().unwrap();
    let upstream = Upstream::bad(MONEY_402);
    let service = upstream.service(&pool);
    for _ in 0..3 {
        assert_eq!(status(&service, bad(true)).await, 402);
        assert_eq!(upstream.calls().len(), 3, "each account once");
        assert_all_usable(&pool, "nothing confirmed it");
    }
    *upstream.0.bad.lock().unwrap() = None;
    for label in ["a", "c", "b", "d"] {
        upstream.set(label, Some(MONEY_402));
    }
    assert_eq!(status(&service, chat()).await, 200);
    upstream.calls();
    for _ in 0..10 {
        assert_eq!(status(&service, chat()).await, 200);
    }
    assert!(upstream.calls().iter().all(|key| key == "e" || key == "f"), "both others are out of money");
}

#[tokio::test(start_paused = true)]
async fn a_leaving_caller_takes_no_key() {
    let pool = pool("openai", &["a", "b", "c"]);
    let upstream = Upstream::bad(BARE_401);
    *upstream.0.delay.lock().unwrap() = SECOND;
    let service = upstream.service(&pool);
    let left = tokio::time::timeout(SECOND + SECOND / 2, status(&service, bad(true))).await;
    assert!(left.is_err(), "it was at its second key");
    assert_all_usable(&pool, "nothing confirmed it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn others_are_served_on_every_thread() {
    for refusal in REFUSALS {
        for keys in [1, 2, 6] {
            let pool = pool(refusal.provider, &LABELS[..keys]);
            let service = Upstream::bad(refusal).service(&pool);
            let ask = |number: usize| {
                let service = service.clone();
                tokio::spawn(async move {
                    if number.is_multiple_of(2) {
                        assert_eq!(status(&service, bad(number.is_multiple_of(4))).await, refusal.status);
                    } else {
                        assert_eq!(status(&service, chat()).await, 200, "{refusal:?}, {keys} keys");
                    }
                })
            };
            for task in (0..120).map(ask).collect::<Vec<_>>() {
                task.await.unwrap();
            }
            assert_all_usable(&pool, &format!("{refusal:?}, {keys} keys"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_a_refused_key() {
    for keys in [1, 2] {
        let pool = pool("openai", &LABELS[..keys]);
        let upstream = Upstream::bad(BARE_401);
        let client = upstream.client();
        let service = KeyRotationLayer::new(pool.clone()).wait_for_key(true).layer(client);
        let service = BoxCloneSyncService::new(service);
        let began = Instant::now();
        let mut request = bad(true);
        request.extensions_mut().insert(Deadline::at(began + 30 * SECOND));
        assert_eq!(status(&service, request).await, 401);
        assert_eq!(
            (Instant::now().saturating_duration_since(began), upstream.calls().len()),
            (Duration::ZERO, keys)
        );
    }
}

// === in a chain ===

#[tokio::test(start_paused = true)]
async fn a_chain_falls_over_and_loses_no_key() {
    for refusal in [BARE_401, NAMED_401, BARE_402, MONEY_402, MONEY_403, MONEY_429] {
        for warmed in [false, true] {
            let pools = [pool(refusal.provider, &["a", "b", "c"]), pool("openai", &["d"])];
            let upstreams = [Upstream::bad(refusal), Upstream::default()];
            let link = |number: usize| {
                KeyRotationLayer::new(pools[number].clone()).layer(upstreams[number].client())
            };
            let layer = ProviderFallbackLayer::new("first").fallback("second", link(1), Route::new());
            let chain = ServiceBuilder::new().layer(layer).service(link(0));
            let ask = |request| send(&chain, request).map(Result::unwrap);
            for _ in 0..if warmed { 3 } else { 0 } {
                ask(chat()).await;
            }
            for _ in 0..10 {
                assert_eq!(served(&ask(bad(true)).await).provider(), "second", "{refusal:?}");
            }
            assert_all_usable(&pools[0], &format!("{refusal:?}"));
            assert_eq!(served(&ask(chat()).await).provider(), "first", "its breaker is closed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn minutes_of_bad_requests_take_no_key() {
    for refusal in REFUSALS.into_iter().chain(OF_A_THING) {
        for (keys, model, every) in [(1, true, 1), (2, false, 20), (6, true, 61), (3, false, 61)] {
            let why = format!("{refusal:?}, {keys} keys, {model}");
            let pool = pool(refusal.provider, &LABELS[..keys]);
            let service = Upstream::bad(refusal).service(&pool);
            for _ in 0..130 / every {
                status(&service, bad(model)).await;
                advance(every * SECOND).await;
            }
            for _ in 0..20 {
                assert_eq!(status(&service, chat()).await, 200, "{why}");
                status(&service, bad(model)).await;
                advance(SECOND).await;
            }
        }
    }
}

// === keys at fault ===

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_tried_once() {
    for refusal in [BARE_401, NAMED_401] {
        let pool = pool(refusal.provider, &["a", "b", "c"]);
        let upstream = Upstream::default().refuse("a", refusal);
        let service = upstream.service(&pool);
        let mut heard = pool.subscribe();
        for _ in 0..20 {
            assert_eq!(status(&service, chat()).await, 200);
        }
        assert_eq!(upstream.calls().iter().filter(|key| *key == "a").count(), 1);
        assert_eq!(pool.snapshot().keys[0].state, KeyState::Invalid);
        assert!(matches!(&alarms(&mut heard)[..], [EventKind::InvalidKey { .. }]), "announced once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_account_serves_after_two_without_credit() {
    for refusal in [MONEY_402, BARE_402, MONEY_403, MONEY_429] {
        for warmed in [true, false] {
            let pool = pool(refusal.provider, &["a", "b", "c"]);
            let upstream = Upstream::default();
            let service = upstream.service(&pool);
            for _ in 0..if warmed { 3 } else { 0 } {
                status(&service, chat()).await;
            }
            for label in ["a", "b"] {
                upstream.set(label, Some(refusal));
            }
            upstream.calls();
            assert_eq!(status(&service, chat()).await, 200, "{refusal:?}, warmed: {warmed}");
            assert_eq!(upstream.calls(), ["a", "b", "c"], "{refusal:?}");
            for _ in 0..20 {
                assert_eq!(status(&service, chat()).await, 200);
            }
            assert!(upstream.calls().iter().all(|key| key == "c"), "{refusal:?}, warmed: {warmed}");
        }
    }
}

/// An allowance that a provider says is used up until a time counts other requests as well, and is certain.
#[tokio::test(start_paused = true)]
async fn a_quota_with_a_stated_end_is_certain() {
    let spent = r#"{"error":{"code":"insufficient_quota","message":"Try again in 2h"}}"#;
    let pool = pool("openai", &["a"]);
    let upstream = Upstream::default().refuse("a", refusal("openai", 429, spent));
    let service = upstream.service(&pool);
    assert_eq!(status(&service, chat()).await, 429);
    assert_eq!(pool.snapshot().keys[0].state, KeyState::QuotaExceeded);
    assert_eq!(status(&service, chat()).await, 429);
    assert_eq!(upstream.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_third_key_serves_after_two_revoked_ones() {
    for refusal in REFUSALS.into_iter().filter(|refusal| matches!(refusal.status, 400 | 401)) {
        let pool = pool(refusal.provider, &["a", "b", "c"]);
        let upstream = Upstream::default().refuse("a", refusal).refuse("b", refusal);
        let service = upstream.service(&pool);
        assert_eq!(status(&service, chat()).await, 200, "{refusal:?}");
        assert_eq!(upstream.calls(), ["a", "b", "c"]);
        for _ in 0..20 {
            assert_eq!(status(&service, chat()).await, 200);
        }
        assert!(upstream.calls().iter().all(|key| key == "c"), "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn revoked_keys_are_probed_once_a_minute() {
    let pool = pool("openai", &["a", "b", "c"]);
    let upstream =
        LABELS.iter().fold(Upstream::default(), |upstream, label| upstream.refuse(label, NAMED_401));
    let service = upstream.service(&pool);
    assert_eq!(status(&service, chat()).await, 401);
    assert_all_usable(&pool, "within the grace");
    advance(61 * SECOND).await;
    assert_eq!(status(&service, chat()).await, 401);
    assert!(pool.snapshot().keys.iter().all(|key| key.state == KeyState::Invalid));
    upstream.calls();
    for _ in 0..600 {
        assert_ne!(status(&service, chat()).await, 200);
        advance(SECOND).await;
    }
    let calls = upstream.calls().len();
    assert!((9..=11).contains(&calls), "{calls} probes in ten minutes");
    for _ in 0..600 {
        assert_ne!(status(&service, bad(true)).await, 200);
        advance(SECOND).await;
    }
    let calls = upstream.calls().len();
    assert!((9..=14).contains(&calls), "{calls} probes: each key once at another endpoint");
    for label in LABELS {
        upstream.set(label, None);
    }
    advance(61 * SECOND).await;
    for _ in 0..6 {
        assert_eq!(status(&service, chat()).await, 200);
    }
    assert_all_usable(&pool, "the outage is over");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_key_that_two_endpoints_refuse_is_invalid() {
    let pool = pool("openai", &["a"]);
    let upstream = Upstream::bad(NAMED_401).refuse("a", NAMED_401);
    let service = upstream.service(&pool);
    for _ in 0..3 {
        assert_eq!(status(&service, chat()).await, 401);
        assert_all_usable(&pool, "one endpoint is one witness");
    }
    assert_eq!(status(&service, bad(true)).await, 401);
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Invalid);
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_find_a_revoked_key() {
    for delay in [Duration::ZERO, SECOND] {
        let pool = pool("openai", &["a", "b"]);
        let upstream = Upstream::default();
        *upstream.0.delay.lock().unwrap() = delay;
        let service = upstream.service(&pool);
        for _ in 0..2 {
            status(&service, chat()).await;
        }
        upstream.set("a", Some(NAMED_401));
        let mut heard = pool.subscribe();
        let all = futures_util::future::join_all((0..50).map(|_| status(&service, chat()))).await;
        assert!(all.iter().all(|status| *status == 200));
        assert_eq!(pool.snapshot().keys[0].state, KeyState::Invalid);
        assert_eq!(pool.snapshot().keys[1].state, KeyState::Available);
        assert!(matches!(&alarms(&mut heard)[..], [EventKind::InvalidKey { .. }]), "announced once");
        upstream.calls();
        assert_eq!(status(&service, chat()).await, 200);
        assert_eq!(upstream.calls(), ["b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn regular_bad_requests_take_no_key() {
    let pool = pool("openai", &["a", "b"]);
    let upstream = Upstream::bad(NAMED_401);
    let service = upstream.service(&pool);
    for _ in 0..2 {
        status(&service, chat()).await;
    }
    for _ in 0..100 {
        advance(SECOND).await;
        assert_eq!(status(&service, bad(false)).await, 401);
        assert_eq!(status(&service, chat()).await, 200);
    }
    assert_all_usable(&pool, "one of both served others all the time");
}

// === refusals of one resource ===

#[tokio::test(start_paused = true)]
async fn a_forbidden_request_is_served_with_another_key() {
    for refusal in OF_A_THING.into_iter().filter(|refusal| {
        // An error of the request itself is delivered unchanged.
        !refusal.body.contains("CORS") && refusal.provider != "openrouter"
    }) {
        let pool = pool(refusal.provider, &["a", "b"]);
        let upstream = Upstream::default().refuse("a", refusal);
        let service = upstream.service(&pool);
        assert_eq!(status(&service, bad(true)).await, 200, "{refusal:?}");
        assert_eq!(upstream.calls(), ["a", "b"], "{refusal:?}");
        assert_all_usable(&pool, refusal.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_header_is_delivered_at_once() {
    let cors = OF_A_THING[3];
    let pool = pool(cors.provider, &["a", "b"]);
    let upstream = Upstream::bad(cors);
    let service = upstream.service(&pool);
    let response = service.clone().oneshot(bad(true)).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.calls().len()), (401, 1));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_concerns_one_model() {
    let permission = refusal(
        "anthropic",
        403,
        r#"{"type":"error","error":{"type":"permission_error","message":"Permission denied"}}"#,
    );
    for model in [true, false] {
        let pool = pool("anthropic", &["a", "b"]);
        let upstream = Upstream::default().refuse("a", permission);
        let service = upstream.service(&pool);
        assert_eq!(status(&service, bad(model)).await, 200);
        let key = &pool.snapshot().keys[0];
        assert_eq!((key.state, key.models.len()), (KeyState::Available, usize::from(model)));
    }
}

/// An edge refuses one caller's content, and the provider works.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_edge_affects_no_other_caller() {
    let region =
        r#"{"error":{"code":"unsupported_country_region_territory","message":"Country not supported"}}"#;
    for body in ["<html><h1>403 Forbidden</h1></html>", "error code: 1010", region] {
        let pool = pool("openai", &["a", "b"]);
        let upstream = Upstream::bad(refusal("openai", 403, body));
        let link = KeyRotationLayer::new(pool.clone()).layer(upstream.client());
        let chain = ServiceBuilder::new().layer(ProviderFallbackLayer::new("only")).service(link);
        for _ in 0..40 {
            assert!(send(&chain, bad(true)).await.is_err(), "{body}");
        }
        assert_eq!(send(&chain, chat()).await.unwrap().status(), 200, "{body}");
        assert_all_usable(&pool, body);
    }
}
