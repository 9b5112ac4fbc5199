//! Keys whose secrets come from a source, and change.

#![cfg(feature = "secret-command")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use support::{Captured, MARKER, chat, secret};
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::event::EventKind;
use tower_key_rotation::key::{
    ClientCredentials, Credential, KeyId, Secret, SecretCommand, SecretFile, SecretSource,
};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, Provider, Served, StopReason};

/// A token service and the provider that accepts its tokens.
#[derive(Clone)]
struct Cloud(Arc<Inner>);

struct Inner {
    lifetime: Duration,
    latency: Duration,
    /// The tokens that are accepted, each until a time.
    accepted: Mutex<HashMap<String, Instant>>,
    issued: AtomicU64,
    asking: AtomicU64,
    is_down: AtomicBool,
    /// Whether the provider refuses all tokens.
    refuses: AtomicBool,
    refused: AtomicU64,
}

type Client = BoxCloneSyncService<Request<ReplayBody>, Response<Full<Bytes>>, BoxError>;

const SECOND: Duration = Duration::from_secs(1);

impl Cloud {
    fn new(lifetime: Duration) -> Self {
        Self(Arc::new(Inner {
            lifetime,
            latency: Duration::from_millis(50),
            accepted: Mutex::default(),
            issued: 0.into(),
            asking: 0.into(),
            is_down: false.into(),
            refuses: false.into(),
            refused: 0.into(),
        }))
    }

    /// Sets the time that the token service takes.
    fn slow(self, latency: Duration) -> Self {
        let inner = Arc::into_inner(self.0).unwrap();
        Self(Arc::new(Inner { latency, ..inner }))
    }

    fn source(&self) -> SecretSource {
        let cloud = self.clone();
        SecretSource::new("cloud", service_fn(move |()| cloud.clone().token()))
    }

    async fn token(self) -> Result<Credential, BoxError> {
        assert_eq!(self.0.asking.fetch_add(1, Ordering::SeqCst), 0, "one call at a time");
        sleep(self.0.latency).await;
        self.0.asking.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_down.load(Ordering::SeqCst) {
            return Err("the token service is down".into());
        }
        let token = secret(&format!("token-{}", self.0.issued.fetch_add(1, Ordering::SeqCst)));
        self.0.accepted.lock().unwrap().insert(token.clone(), Instant::now() + self.0.lifetime);
        Ok(Credential::new(Secret::new(token)?).expires_in(self.0.lifetime))
    }

    /// Serves requests with a token that has not expired, and echoes it.
    fn client(&self) -> Client {
        let cloud = self.clone();
        BoxCloneSyncService::new(service_fn(move |request: Request<ReplayBody>| {
            let cloud = cloud.clone();
            async move {
                sleep(Duration::from_millis(20)).await;
                let token = request.headers()["authorization"].to_str()?.replace("Bearer ", "");
                let until = cloud.0.accepted.lock().unwrap().get(&token).copied();
                let refuses = cloud.0.refuses.load(Ordering::SeqCst) && token.contains("token-");
                let is_accepted = !refuses && until.is_some_and(|until| until > Instant::now());
                cloud.0.refused.fetch_add(u64::from(!is_accepted), Ordering::SeqCst);
                let (status, text) = match is_accepted {
                    true => (200, r#"{"choices":[]}"#.to_owned()),
                    false => (
                        401,
                        format!(
                            r#"{{"error":{{"code":"invalid_api_key","message":"Incorrect API key: {token}"}}}}"#
                        ),
                    ),
                };
                Ok::<_, BoxError>(Response::builder().status(status).body(Full::from(text))?)
            }
        }))
    }

    fn issued(&self) -> u64 {
        self.0.issued.load(Ordering::SeqCst)
    }

    fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::SeqCst)
    }

    fn revoke(&self) {
        self.0.accepted.lock().unwrap().clear();
    }
}

fn pool_of(keys: impl IntoIterator<Item = ApiKey>) -> KeyPool {
    KeyPool::builder(support::at_sim(Provider::openai())).keys(keys).build().unwrap()
}

fn service(pool: &KeyPool, client: Client) -> tower_key_rotation::rotate::KeyRotation<Client> {
    KeyRotationLayer::new(pool.clone()).layer(client)
}

async fn status(service: &tower_key_rotation::rotate::KeyRotation<Client>) -> Result<StatusCode, Error> {
    support::send(service, chat("m")).await.map(|response| response.status())
}

fn events(subscription: &mut tower_key_rotation::event::Subscription) -> Vec<EventKind> {
    std::iter::from_fn(|| subscription.next().now_or_never().flatten())
        .map(|event| event.unwrap().kind)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn short_lived_tokens_are_renewed_without_a_failed_request() {
    let cloud = Cloud::new(2 * SECOND);
    let pool = pool_of([ApiKey::from(cloud.source())]);
    let renewal = tokio::spawn(pool.renewal());
    let service = service(&pool, cloud.client());
    let mut requests = Vec::new();
    for _ in 0..20 * 500 {
        let service = service.clone();
        requests.push(tokio::spawn(service.oneshot(chat("m"))));
        sleep(Duration::from_millis(2)).await;
    }
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    let issued = cloud.issued();
    println!("{issued} tokens for 10,000 requests in 20 s, {} refused", cloud.refused());
    assert!((11..=16).contains(&issued), "{issued} tokens, each of which lives 2 s");
    assert_eq!(cloud.refused(), 0);
    drop((service, pool));
    sleep(SECOND).await;
    assert!(renewal.is_finished(), "it ends with the pool");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_added_later_are_renewed_too() {
    let (first, second) = (Cloud::new(20 * SECOND), Cloud::new(20 * SECOND));
    let pool = pool_of([ApiKey::new(support::secret("fixed")).unwrap().id("fixed")]);
    let renewal = tokio::spawn(pool.renewal());
    sleep(SECOND).await;
    assert!(!renewal.is_finished());
    pool.add(ApiKey::from(first.source()).id("first")).unwrap();
    pool.add(ApiKey::from(second.source()).id("second")).unwrap();
    sleep(SECOND).await;
    assert_eq!((first.issued(), second.issued()), (1, 1), "without any request");
    drop(pool.remove(&"first".into()).unwrap());
    sleep(100 * SECOND).await;
    assert!(second.issued() > 4, "{} tokens in 100 s", second.issued());
    let issued = first.issued();
    sleep(100 * SECOND).await;
    assert_eq!(first.issued(), issued, "a key that was removed needs no secret");
    drop(pool);
    sleep(SECOND).await;
    assert!(renewal.is_finished(), "it ends with the pool");
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_secret_share_one_call() {
    let cloud = Cloud::new(3_600 * SECOND);
    let pool = pool_of([ApiKey::from(cloud.source())]);
    let service = service(&pool, cloud.client());
    let statuses = join_all((0..100).map(|_| status(&service))).await;
    assert!(statuses.into_iter().all(|status| status.unwrap() == StatusCode::OK));
    assert_eq!((cloud.issued(), cloud.refused()), (1, 0));
    // A caller that goes away does not take the call along.
    let other = Cloud::new(3_600 * SECOND);
    let pool = pool_of([ApiKey::from(other.source())]);
    let service = self::service(&pool, other.client());
    tokio::time::timeout(Duration::from_millis(10), status(&service)).await.unwrap_err();
    assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
    assert_eq!(other.issued(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_renewed_once_and_the_key_is_not_doubted() {
    let cloud = Cloud::new(3_600 * SECOND);
    let pool = pool_of([ApiKey::from(cloud.source())]);
    tokio::spawn(pool.renewal());
    let service = service(&pool, cloud.client());
    assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
    sleep(10 * SECOND).await;
    let mut heard = pool.subscribe();
    cloud.revoke();
    let responses = join_all((0..50).map(|_| support::send(&service, chat("m")))).await;
    for response in responses {
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let served = response.extensions().get::<Served>().unwrap();
        assert_eq!((served.key_id().as_str(), served.attempts().len()), ("cloud", 1));
    }
    assert_eq!((cloud.issued(), cloud.refused()), (2, 50));
    let heard = events(&mut heard);
    let is_bad =
        |kind: &EventKind| matches!(kind, EventKind::InvalidKey { .. } | EventKind::CooledDown { .. });
    assert!(!heard.iter().any(is_bad), "{heard:?}");
    assert_eq!(heard.iter().filter(|kind| matches!(kind, EventKind::SecretRenewed { .. })).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_new_token_is_refused_too_is_doubted_and_comes_back_with_the_next() {
    let cloud = Cloud::new(60 * SECOND);
    let pool = pool_of([ApiKey::from(cloud.source()), ApiKey::new(secret("static")).unwrap().id("static")]);
    cloud.0.accepted.lock().unwrap().insert(secret("static"), Instant::now() + 9_999 * SECOND);
    tokio::spawn(pool.renewal());
    sleep(5 * SECOND).await;
    let service = service(&pool, cloud.client());
    cloud.0.refuses.store(true, Ordering::SeqCst);
    for _ in 0..4 {
        assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
    }
    assert_eq!((pool.usable(None), cloud.issued(), cloud.refused()), (1, 2, 2), "the key is invalid");
    // With the next token it is probed, and accepted.
    cloud.0.refuses.store(false, Ordering::SeqCst);
    sleep(60 * SECOND).await;
    for _ in 0..4 {
        assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
    }
    assert_eq!(pool.usable(None), 2);
}

#[tokio::test(start_paused = true)]
async fn the_limit_for_the_head_begins_when_there_is_a_secret() {
    let cloud = Cloud::new(3_600 * SECOND).slow(12 * SECOND);
    let pool = pool_of([ApiKey::from(cloud.source())]);
    let service = KeyRotationLayer::new(pool.clone()).head_timeout(10 * SECOND).layer(cloud.client());
    assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_takes_no_key_out_that_works() {
    let cloud = Cloud::new(60 * SECOND);
    let pool = pool_of([ApiKey::from(cloud.source()).id("vertex")]);
    tokio::spawn(pool.renewal());
    let service = service(&pool, cloud.client());
    assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
    let (mut heard, begin) = (pool.subscribe(), Instant::now());
    cloud.0.is_down.store(true, Ordering::SeqCst);
    while begin + 55 * SECOND > Instant::now() {
        assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
        sleep(SECOND).await;
    }
    let failures = events(&mut heard);
    let is_failure =
        |kind: &&EventKind| matches!(kind, EventKind::SecretUnavailable { valid_for: Some(_), .. });
    let count = failures.iter().filter(is_failure).count();
    assert!((2..=9).contains(&count), "{count} attempts in the last fifth of the lifetime");
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Available);
    // Then it expires. No request waits for a source that has just failed.
    sleep(10 * SECOND).await;
    let before = Instant::now();
    let Error::AllKeysFailed(failed) = status(&service).await.unwrap_err() else { panic!() };
    assert!(Instant::now() - before < SECOND);
    assert_eq!((failed.stop_reason(), failed.attempts().len()), (StopReason::Exhausted, 1));
    let text = format!("{failed} {:?}", std::error::Error::source(&failed).unwrap().to_string());
    assert!(text.contains("the token service is down") && !text.contains(MARKER), "{text}");
    // It comes back by itself.
    cloud.0.is_down.store(false, Ordering::SeqCst);
    sleep(61 * SECOND).await;
    assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_asked_again() {
    let cloud = Cloud::new(60 * SECOND);
    let (source, is_sound) = (cloud.clone(), Arc::new(AtomicBool::new(false)));
    let asks = Arc::clone(&is_sound);
    let source = service_fn(move |()| {
        assert!(asks.load(Ordering::SeqCst), "a fault of the source");
        source.clone().token()
    });
    let pool = pool_of([ApiKey::from(SecretSource::new("cloud", source))]);
    tokio::spawn(pool.renewal());
    let service = service(&pool, cloud.client());
    for _ in 0..3 {
        let Error::AllKeysFailed(failed) = status(&service).await.unwrap_err() else { panic!() };
        let source = std::error::Error::source(&failed).unwrap().to_string();
        assert!(source.contains("the source panicked"), "{source}");
        sleep(2 * SECOND).await;
    }
    is_sound.store(true, Ordering::SeqCst);
    sleep(10 * SECOND).await;
    assert_eq!(status(&service).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_secret_makes_no_request_wait() {
    let cloud = Cloud::new(60 * SECOND);
    cloud.0.accepted.lock().unwrap().insert(secret("static"), Instant::now() + 9_999 * SECOND);
    let keys = [ApiKey::from(cloud.source()), ApiKey::new(secret("static")).unwrap().id("static").backup()];
    let pool = pool_of(keys);
    let service = service(&pool, cloud.client());
    let before = Instant::now();
    let response = support::send(&service, chat("m")).await.unwrap();
    assert_eq!(response.extensions().get::<Served>().unwrap().key_id().as_str(), "static");
    assert_eq!(Instant::now() - before, Duration::from_millis(20), "the time of the call alone");
    tokio::spawn(pool.renewal());
    sleep(SECOND).await;
    let response = support::send(&service, chat("m")).await.unwrap();
    assert_eq!(response.extensions().get::<Served>().unwrap().key_id().as_str(), "cloud");
}

#[tokio::test(start_paused = true)]
async fn keys_of_several_pools_share_one_source() {
    let cloud = Cloud::new(60 * SECOND);
    let source = cloud.source();
    let pools =
        [pool_of([ApiKey::from(source.clone())]), pool_of([ApiKey::from(source.clone()).id("other")])];
    for pool in &pools {
        assert_eq!(status(&service(pool, cloud.client())).await.unwrap(), StatusCode::OK);
    }
    assert_eq!(cloud.issued(), 1);
    let twice = [ApiKey::from(source.clone()), ApiKey::from(source.clone()).id("again")];
    let error = KeyPool::builder(Provider::openai()).keys(twice).build().unwrap_err();
    assert!(error.to_string().contains("same secret"), "{error}");
    let at = |host: &str| {
        ApiKey::from(source.clone()).id(host).base_url(format!("https://{host}").parse().unwrap())
    };
    assert!(KeyPool::builder(Provider::openai()).keys([at("eu.example"), at("us.example")]).build().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_token_that_was_sent_is_removed_from_responses_and_logs() {
    let log = Captured::default();
    let cloud = Cloud::new(3_600 * SECOND);
    cloud.0.refuses.store(true, Ordering::SeqCst);
    let pool = pool_of([ApiKey::from(cloud.source())]);
    let service = service(&pool, cloud.client());
    let _capturing = log.install();
    let error = status(&service).await.unwrap_err();
    let text = format!("{error} {error:?} {:?} {:?}", pool, pool.snapshot());
    let body = error.into_response().into_body().collect().await.unwrap().to_bytes();
    for text in [text, String::from_utf8_lossy(&body).into_owned(), log.text()] {
        assert!(!text.contains(MARKER), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_the_layer_needs_a_ready_source() {
    let cloud = Cloud::new(60 * SECOND);
    let source = cloud.source();
    let pool = pool_of([ApiKey::from(source.clone())]);
    let mut request = Request::get("http://sim.test/v1/models").body(()).unwrap();
    let (mut uri, mut headers) = (request.uri().clone(), std::mem::take(request.headers_mut()));
    let error = pool.acquire(()).unwrap().apply_key(&mut uri, &mut headers).unwrap_err();
    assert!(error.to_string().contains("key cloud has no valid secret"), "{error}");
    source.ready().await.unwrap();
    pool.acquire(()).unwrap().apply_key(&mut uri, &mut headers).unwrap();
    assert_eq!(headers["authorization"], format!("Bearer {}", secret("token-0")));
}

#[tokio::test]
async fn a_reload_keeps_a_key_with_the_same_source() {
    let cloud = Cloud::new(60 * SECOND);
    let source = cloud.source();
    let pool = pool_of([ApiKey::from(source.clone())]);
    let changes = pool.reload([ApiKey::from(source)]).unwrap();
    assert!(changes.is_empty());
    let changes = pool.reload([ApiKey::from(cloud.source())]).unwrap();
    assert_eq!(changes.replaced, [KeyId::from("cloud")]);
}

#[tokio::test]
async fn the_state_of_a_key_with_a_source_is_kept_by_its_id() {
    let cloud = Cloud::new(60 * SECOND);
    let build = || {
        let keys = ["a", "b"].map(|id| ApiKey::from(cloud.source()).id(id));
        KeyPool::builder(Provider::openai()).keys(keys)
    };
    let pool = build().build().unwrap();
    pool.disable(&KeyId::from("b")).unwrap();
    let restored = build().restore(pool.export()).build().unwrap();
    let states: Vec<_> = restored.snapshot().keys.into_iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Available, KeyState::Disabled]);
}

// === files ===

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_file_behind_a_link_is_read_again() {
    use std::os::unix::fs::symlink;

    // A Kubernetes secret is a link to `..data/NAME`, and `..data` is a link that is swapped.
    let folder = std::env::temp_dir().join(format!("tkr-secret-{}", std::process::id()));
    let write = |version: &str, text: &str| {
        std::fs::create_dir_all(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("api-key"), text).unwrap();
        let swap = folder.join("..data_tmp");
        symlink(version, &swap).unwrap();
        std::fs::rename(swap, folder.join("..data")).unwrap();
    };
    write("..1", &format!("{}\n", secret("one")));
    symlink("..data/api-key", folder.join("api-key")).unwrap();
    let pool = pool_of([ApiKey::from(SecretSource::file(folder.join("api-key")))]);
    tokio::spawn(pool.renewal());
    let client = service_fn(|request: Request<ReplayBody>| async move {
        let key = request.headers()["authorization"].to_str()?.replace(&format!("Bearer sk-{MARKER}-"), "");
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(key)))
    });
    let service = service(&pool, BoxCloneSyncService::new(client));
    let used = || async {
        let body = support::send(&service, chat("m")).await.unwrap().into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert_eq!(used().await, "one");
    assert_eq!(pool.snapshot().keys[0].id.as_str(), "api-key");
    write("..2", &format!(r#"{{"token":"{}"}}"#, secret("two")));
    sleep(31 * SECOND).await;
    let mut heard = pool.subscribe();
    assert_eq!(used().await, "two");
    // A file that is gone for a moment, or is being written, leaves the secret in use.
    std::fs::remove_file(folder.join("..data")).unwrap();
    sleep(31 * SECOND).await;
    assert_eq!(used().await, "two");
    write("..3", "");
    sleep(61 * SECOND).await;
    assert_eq!(used().await, "two");
    write("..4", &secret("four"));
    sleep(120 * SECOND).await;
    assert_eq!(used().await, "four");
    let heard = events(&mut heard);
    let errors: Vec<_> = heard
        .iter()
        .filter_map(
            |kind| if let EventKind::SecretUnavailable { error, .. } = kind { Some(error) } else { None },
        )
        .collect();
    assert!(
        errors.len() > 1 && errors.iter().all(|error| error.starts_with("no secret from api-key: ")),
        "{errors:?}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

// === commands ===

#[cfg(unix)]
#[tokio::test]
async fn a_command_prints_the_secret() {
    let run = |script: &str| SecretSource::new("command", SecretCommand::new("sh").args(["-c", script]));
    for script in ["echo sk-tkrmarker", r#"printf '{"accessToken":"sk-tkrmarker","expires_on":4102444800}'"#]
    {
        let source = run(script);
        source.ready().await.unwrap();
        let key = ApiKey::from(source);
        assert!(key.appears_in("the key sk-tkrmarker"), "{script}");
    }
    for (script, message) in [
        ("echo sk-tkrmarker; exit 3", "the command sh failed: exit status: 3"),
        ("echo two words tkrmarker", "neither a plain secret nor JSON"),
        ("echo", "neither a plain secret nor JSON"),
        ("yes | head -c 100000", "too large"),
    ] {
        let error = run(script).ready().await.unwrap_err();
        assert!(error.to_string().contains(message) && !format!("{error:?}").contains(MARKER), "{error}");
    }
    let missing = SecretSource::new("command", SecretCommand::new("/nowhere/tkr")).ready().await.unwrap_err();
    assert!(missing.to_string().contains("can't be started"), "{missing}");
}

// === token endpoints ===

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_gets_client_credentials() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let client = service_fn(move |request: Request<ReplayBody>| {
        let kept = Arc::clone(&kept);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            kept.lock().unwrap().push((head.uri.to_string(), String::from_utf8(body.to_vec())?));
            let (status, text) = match kept.lock().unwrap().len() {
                1 => (200, r#"{"access_token":"eyJ.one","expires_in":3600}"#),
                2 => (401, r#"{"error":"invalid_client","error_description":"tkrmarker"}"#),
                _ => (500, "tkrmarker"),
            };
            Ok::<_, BoxError>(Response::builder().status(status).body(Full::<Bytes>::from(text))?)
        }
    });
    let endpoint = "https://login.example/token".parse().unwrap();
    let service = ClientCredentials::new(client, endpoint, "the id", Secret::new("s&tkrmarker").unwrap());
    let service = service.parameter("scope", "https://x/.default");
    assert!(!format!("{service:?}").contains(MARKER));
    let source = SecretSource::new("entra", service.clone());
    source.ready().await.unwrap();
    assert!(ApiKey::from(source).appears_in("eyJ.one"));
    let form = "grant_type=client_credentials&client_id=the%20id&client_secret=s%26tkrmarker&scope=https%3A%2F%2Fx%2F.default";
    assert_eq!(seen.lock().unwrap()[0], ("https://login.example/token".to_owned(), form.to_owned()));
    for message in ["401 Unauthorized: invalid_client", "500 Internal Server Error"] {
        let error = SecretSource::new("entra", service.clone()).ready().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(message) && !text.contains(MARKER), "{text}");
    }
}

/// Each look at a pipe would keep a thread, because its content never comes.
#[cfg(unix)]
#[tokio::test]
async fn a_pipe_is_no_file_of_a_secret() {
    let pipe = std::env::temp_dir().join(format!("tkr-secret-pipe-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let read = SecretFile::new(&pipe).oneshot(());
    let error = tokio::time::timeout(10 * SECOND, read).await.expect("it is not read").unwrap_err();
    assert!(error.to_string().contains("pipe"), "{error}");
    std::fs::remove_file(pipe).unwrap();
}
