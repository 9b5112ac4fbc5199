//! A key that is refused at one endpoint serves the others: the provider may refuse a permission, an object or a header,
//! in words that no rule knows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use support::{ORIGIN, chat, pool, pool_of, send};
use tokio::time::advance;
use tower::{Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::event::EventKind;
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{KeyPool, KeyRotationLayer, ModelId, Provider};

/// The endpoint that one key may not use.
const FILES: &str = "/v1/files";

/// Refusals that name no reason in the account or the key.
const REFUSALS: [(u16, &str); 8] = [
    (401, ""),
    (401, r#"{"error":{"message":"Unauthorized"}}"#),
    (401, r#"{"error":{"message":"The files of this project are read with a service account."}}"#),
    (401, r#"{"error":{"message":"This route is closed for tokens of kind 3."}}"#),
    (401, r#"{"error":{"message":"The experimental header is not enabled here."}}"#),
    (403, ""),
    (403, r#"{"error":{"message":"Document doc_1 is not shared with you."}}"#),
    (403, r#"{"detail":"Forbidden"}"#),
];

type Asked<'a> = dyn Fn() -> Request<Full<Bytes>> + 'a;
type Refused = dyn Fn(&str, &str) -> Option<(u16, &'static str)> + Send + Sync;

/// A provider that refuses some keys at some paths, and the calls of it: key and path.
#[derive(Clone)]
struct Upstream {
    refused: Arc<Refused>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Upstream {
    fn new(refused: impl Fn(&str, &str) -> Option<(u16, &'static str)> + Send + Sync + 'static) -> Self {
        Self { refused: Arc::new(refused), calls: Arc::default() }
    }

    /// Sends a request, and returns its status.
    async fn ask(&self, pool: &KeyPool, request: Request<Full<Bytes>>) -> u16 {
        let this = self.clone();
        let client = service_fn(move |request: Request<ReplayBody>| {
            let key = request.headers()["authorization"].to_str().unwrap();
            let key = key.rsplit('-').next().unwrap().to_owned();
            let path = request.uri().path().to_owned();
            let (status, body) = (this.refused)(&key, &path).unwrap_or((200, "{}"));
            this.calls.lock().unwrap().push((key, path));
            let response = Response::builder().status(status).header("content-type", "application/json");
            std::future::ready(Ok::<_, std::convert::Infallible>(response.body(Full::from(body)).unwrap()))
        });
        let service = KeyRotationLayer::new(pool.clone()).layer(client);
        send(&service, request).await.map_or(0, |response| response.status().as_u16())
    }

    /// Returns the number of calls of a key since the last time.
    fn calls_of(&self, key: &str) -> usize {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.iter().filter(|(called, _)| called == key).count()
    }
}

fn files(with_model: bool) -> Request<Full<Bytes>> {
    let body = if with_model { r#"{"model":"m"}"# } else { "" };
    Request::post(format!("{ORIGIN}{FILES}")).body(Full::from(body)).unwrap()
}

fn post(path: &str) -> Request<Full<Bytes>> {
    Request::post(format!("{ORIGIN}/v1/{path}")).body(Full::from(r#"{"model":"m"}"#)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_key_refused_at_one_endpoint_serves_the_others() {
    for refusal in REFUSALS {
        for (warmed, with_model) in [(true, false), (true, true), (false, false), (false, true)] {
            let why = format!("{refusal:?}, warmed: {warmed}, with a model: {with_model}");
            let pool = pool(&["a", "b"]);
            let upstream = Upstream::new(move |key, path| (key == "a" && path == FILES).then_some(refusal));
            for _ in 0..if warmed { 2 } else { 0 } {
                assert_eq!(upstream.ask(&pool, chat("m")).await, 200, "{why}");
            }
            for _ in 0..10 {
                for _ in 0..2 {
                    assert_eq!(upstream.ask(&pool, files(with_model)).await, 200, "{why}");
                }
                upstream.calls_of("a");
                for _ in 0..4 {
                    assert_eq!(upstream.ask(&pool, chat("m")).await, 200, "{why}");
                }
                assert!(upstream.calls_of("a") >= 2, "{why}: it has its turns");
                let shown = &pool.snapshot().keys[0];
                assert_eq!((shown.state, shown.models.len()), (KeyState::Available, 0), "{why}");
                advance(Duration::from_secs(1)).await;
            }
        }
    }
}

/// A refusal that names what the caller sent along takes the key from no other request, not even at the same endpoint.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_what_the_caller_sent_affects_no_key() {
    let with_body = |body: &'static str| {
        let mut request = chat("m");
        *request.body_mut() = Full::from(body);
        request
    };
    let with_header = |name: &'static str| {
        let mut request = chat("m");
        request.headers_mut().insert(name, "x-2025".parse().unwrap());
        request
    };
    let file = || with_body(r#"{"model":"m","input":[{"type":"file","file_id":"file-abc123"}]}"#);
    let store = || with_body(r#"{"model":"m","tools":[{"vector_store_ids":["vs_68a1b2c3"]}]}"#);
    let cases: [(u16, &str, &Asked<'_>); 6] = [
        (403, r#"{"error":{"message":"You do not have access to file-abc123."}}"#, &file),
        (401, r#"{"error":{"message":"The file file-abc123 is not readable in this project."}}"#, &file),
        (403, r#"{"error":{"message":"vs_68a1b2c3 is of another project"}}"#, &store),
        (401, r#"{"error":{"message":"The OpenAI-Beta header is not valid here"}}"#, &|| {
            with_header("openai-beta")
        }),
        (403, r#"{"error":{"message":"not entitled to `anthropic-beta`: x-2025"}}"#, &|| {
            with_header("anthropic-beta")
        }),
        (403, r#"{"error":{"code":"user_blocked","message":"no"}}"#, &|| chat("m")),
    ];
    for (status, body, request) in cases {
        for keys in [&["a", "b"][..], &["a"]] {
            let pool = pool(keys);
            let upstream = Upstream::new(move |key, _| (key == "a").then_some((status, body)));
            for _ in 0..3 {
                let seen = upstream.ask(&pool, request()).await;
                assert!(seen == 200 || seen == status, "{body}: {seen}");
            }
            let shown = &pool.snapshot().keys[0];
            assert_eq!((shown.state, shown.models.len()), (KeyState::Available, 0), "{body}");
        }
    }
}

/// What is known of an endpoint is announced once, not with each of its requests.
#[tokio::test(start_paused = true)]
async fn a_refusal_at_a_known_endpoint_raises_no_alarm() {
    let pool = pool(&["a", "b"]);
    let upstream = Upstream::new(|key, path| (key == "a" && path == FILES).then_some((401, "")));
    let mut heard = pool.subscribe();
    for _ in 0..50 {
        for request in [files(false), chat("m"), chat("m")] {
            assert_eq!(upstream.ask(&pool, request).await, 200);
        }
        advance(Duration::from_secs(1)).await;
    }
    let alarms = std::iter::from_fn(|| heard.next().now_or_never().flatten())
        .filter(|event| matches!(event.as_ref().unwrap().kind, EventKind::InvalidKey { .. }));
    assert_eq!(alarms.count(), 1);
}

/// A path that refuses every key confirms nothing about the key that another endpoint refuses.
#[tokio::test(start_paused = true)]
async fn a_path_that_refuses_every_key_is_no_second_witness() {
    for refusal in REFUSALS {
        let pool = pool(&["a", "b"]);
        let refused = move |key: &str, path: &str| match path {
            FILES => key == "a",
            path => path.contains("audio"),
        };
        let upstream = Upstream::new(move |key, path| refused(key, path).then_some(refusal));
        assert_eq!(upstream.ask(&pool, files(true)).await, 200, "{refusal:?}");
        // No key is in good standing any more, which would show that the request is at fault.
        advance(Duration::from_secs(61)).await;
        assert_ne!(upstream.ask(&pool, post("audio/speech")).await, 200, "{refusal:?}");
        upstream.calls_of("a");
        for _ in 0..4 {
            assert_eq!(upstream.ask(&pool, chat("m")).await, 200, "{refusal:?}");
        }
        assert!(upstream.calls_of("a") >= 2, "{refusal:?}: it has its turns");
    }
}

/// Keys that were revoked together are probed at growing intervals, and not by each endpoint every time.
#[tokio::test(start_paused = true)]
async fn revoked_keys_are_tried_rarely_at_many_endpoints() {
    for (refusal, tries) in [((401, ""), 2), ((401, r#"{"error":{"code":"invalid_api_key"}}"#), 1)] {
        let pool = pool(&["a", "b", "c"]);
        let upstream = Upstream::new(move |key, _| (key != "c").then_some(refusal));
        for _ in 0..64 * 60 {
            for request in [chat("m"), files(true), post("batches"), post("audio/speech")] {
                assert_eq!(upstream.ask(&pool, request).await, 200);
            }
            advance(Duration::from_secs(1)).await;
        }
        let calls = upstream.calls.lock().unwrap().iter().filter(|(key, _)| key != "c").count();
        assert!(calls <= 2 * tries + 7, "{refusal:?}: with a probe after 1, 2, 4, … minutes: {calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_tried_once_at_two_endpoints() {
    for refusal in REFUSALS {
        for warmed in [true, false] {
            let pool = pool(&["a", "b"]);
            let revoked = Arc::new(Mutex::new(!warmed));
            let now = Arc::clone(&revoked);
            let upstream =
                Upstream::new(move |key, _| (key == "a" && *now.lock().unwrap()).then_some(refusal));
            for _ in 0..if warmed { 2 } else { 0 } {
                upstream.ask(&pool, chat("m")).await;
            }
            *revoked.lock().unwrap() = true;
            upstream.calls_of("a");
            for _ in 0..20 {
                assert_eq!(upstream.ask(&pool, chat("m")).await, 200, "{refusal:?}");
                assert_eq!(upstream.ask(&pool, files(true)).await, 200, "{refusal:?}");
                assert_eq!(upstream.ask(&pool, post("batches")).await, 200, "{refusal:?}");
            }
            let calls = upstream.calls_of("a");
            assert!(calls <= 2, "{refusal:?}, warmed: {warmed}: {calls}");
        }
    }
}

/// A caller that is refused at several endpoints, while there is no other request, leaves the keys to the others.
#[tokio::test(start_paused = true)]
async fn several_refused_endpoints_take_no_key_from_others() {
    let refusals = [
        (401, r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key provided"}}"#),
        (402, ""),
        (429, r#"{"error":{"code":"insufficient_quota"}}"#),
    ];
    for refusal in REFUSALS.into_iter().chain(refusals) {
        for keys in [&["a"][..], &["a", "b"], &["a", "b", "c", "d", "e", "f"]] {
            for (warmed, pause) in [(false, 0), (false, 61), (true, 61)] {
                let pool = pool(keys);
                let upstream = Upstream::new(move |_, path| (!path.contains("chat")).then_some(refusal));
                for _ in 0..if warmed { keys.len() } else { 0 } {
                    upstream.ask(&pool, chat("m")).await;
                }
                for path in ["files", "images/generations", "audio/speech", "batches"].repeat(2) {
                    assert_ne!(upstream.ask(&pool, post(path)).await, 200);
                    advance(Duration::from_secs(pause)).await;
                }
                for _ in keys {
                    let served = upstream.ask(&pool, chat("m")).await;
                    assert_eq!(served, 200, "{refusal:?}, {keys:?}, warmed: {warmed}, pause: {pause}");
                }
            }
        }
    }
}

/// The first request after a cooldown of another kind probes the key. Its refusal says nothing against the key if the path
/// is refused.
#[tokio::test(start_paused = true)]
async fn a_probe_after_another_cooldown_is_no_evidence() {
    let named = (401, r#"{"error":{"code":"invalid_api_key"}}"#);
    for refusal in REFUSALS.into_iter().chain([named]) {
        for keys in [&["a"][..], &["a", "b"], &["a", "b", "c", "d"]] {
            let pool = pool(keys);
            let upstream = Upstream::new(move |_, path| (path == FILES).then_some(refusal));
            for model in [None, Some(&ModelId::from("m"))] {
                pool.cool_down(&"a".into(), model, Duration::from_secs(2)).unwrap();
            }
            advance(Duration::from_secs(3)).await;
            for _ in keys {
                assert_ne!(upstream.ask(&pool, files(true)).await, 200);
            }
            upstream.calls_of("a");
            for _ in 0..4 * keys.len() {
                assert_eq!(upstream.ask(&pool, chat("m")).await, 200, "{refusal:?}, {keys:?}");
            }
            assert!(upstream.calls_of("a") > 0, "{refusal:?}, {keys:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_found_by_the_probe_after_a_limit() {
    for refusal in [(401, ""), (401, r#"{"error":{"code":"invalid_api_key"}}"#)] {
        let pool = pool(&["a", "b"]);
        let answer = Arc::new(Mutex::new((429, r#"{"error":{"message":"Try again in 2s"}}"#)));
        let now = Arc::clone(&answer);
        let upstream = Upstream::new(move |key, _| (key == "a").then(|| *now.lock().unwrap()));
        for _ in 0..2 {
            upstream.ask(&pool, chat("m")).await;
        }
        *answer.lock().unwrap() = refusal;
        advance(Duration::from_secs(3)).await;
        upstream.calls_of("a");
        for _ in 0..20 {
            assert_eq!(upstream.ask(&pool, chat("m")).await, 200);
        }
        assert_eq!((upstream.calls_of("a"), pool.snapshot().keys[0].state), (1, KeyState::Invalid));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_named_as_invalid_is_tried_once() {
    let refusal = (401, r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key provided"}}"#);
    let pool = pool_of(Provider::openai(), &["a", "b"]);
    let upstream = Upstream::new(move |key, _| (key == "a").then_some(refusal));
    for _ in 0..20 {
        assert_eq!(upstream.ask(&pool, chat("m")).await, 200);
        assert_eq!(upstream.ask(&pool, files(false)).await, 200);
    }
    assert_eq!(upstream.calls_of("a"), 1);
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Invalid);
}
