//! Keys that differ from each other: base URLs, headers, names of models, and the models and endpoints that each may
//! be used for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes as AxumBytes;
use axum::extract::Request as AxumRequest;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{MARKER, secret};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::guard::OriginGuardLayer;
use tower_key_rotation::key::{ChosenKey, KeyId};
use tower_key_rotation::pool::{AcquireRequest, Selection};
use tower_key_rotation::provider::{AuthScheme, BaseUrl};
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, ModelId, Provider, Served, StopReason};

type Recorder = BoxCloneSyncService<Request<ReplayBody>, Response<Full<Bytes>>, BoxError>;

type Hyper = Client<HttpConnector, ReplayBody>;

/// One request as a resource saw it.
#[derive(Clone, Debug)]
struct Seen {
    path: String,
    key: String,
    body: String,
}

/// A server that responds to every request alike.
struct Resource {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, &'static str)>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

const GOOD: (u16, &str) = (200, r#"{"choices":[]}"#);
const LIMITED: (u16, &str) =
    (429, r#"{"error":{"code":"429","message":"Requests have exceeded the limit."}}"#);
const NO_MODEL: (u16, &str) =
    (404, r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#);

const OVERLOADED: (u16, &str) =
    (503, r#"{"error":{"code":"NoCapacity","message":"The model is at capacity."}}"#);
const BROKEN: (u16, &str) = (500, r#"{"error":{"code":"InternalServerError","message":"Internal error."}}"#);

impl Resource {
    async fn start(answer: (u16, &'static str)) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let answer = Arc::new(Mutex::new(answer));
        let (kept, now) = (Arc::clone(&seen), Arc::clone(&answer));
        let router = Router::new().fallback(move |request: AxumRequest| async move {
            let (head, body) = request.into_parts();
            let body: AxumBytes = body.collect().await.unwrap().to_bytes();
            let key = head.headers.get("api-key").or_else(|| head.headers.get("authorization"));
            kept.lock().unwrap().push(Seen {
                path: head.uri.to_string(),
                key: key.map_or_else(String::new, |key| key.to_str().unwrap().to_owned()),
                body: String::from_utf8(body.to_vec()).unwrap(),
            });
            let (status, text) = *now.lock().unwrap();
            let response = Response::builder().status(status).header("content-type", "application/json");
            let response = if status == 429 { response.header("retry-after", "3600") } else { response };
            response.body(axum::body::Body::from(text)).unwrap()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, answer, seen }
    }

    fn base(&self, path: &str) -> BaseUrl {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn hyper() -> Hyper {
    Client::builder(TokioExecutor::new()).build_http()
}

fn azure() -> Provider {
    Provider::preset("azure").unwrap()
}

fn api_key(name: &str) -> ApiKey {
    ApiKey::new(secret(name)).unwrap().id(name)
}

fn request(path: &str, model: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
    Request::post(format!("https://azure.invalid{path}"))
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap()
}

fn served<B>(response: &Response<B>) -> Vec<&str> {
    let served = response.extensions().get::<Served>().unwrap();
    let failed = served.attempts().iter().map(|attempt| attempt.key.as_ref().unwrap().as_str());
    failed.chain([served.key_id().as_str()]).collect()
}

/// An in-process client that serves every request, and reports the key, the URI and the headers.
type Sent = Arc<Mutex<Vec<(Option<String>, String, HeaderMap)>>>;

fn recorder() -> (Sent, Recorder) {
    let sent = Sent::default();
    let kept = Arc::clone(&sent);
    let client = service_fn(move |request: Request<ReplayBody>| {
        let key = request.extensions().get::<ChosenKey>().map(|key| key.id().to_string());
        let uri = request.uri().to_string();
        kept.lock().unwrap().push((key, uri, request.headers().clone()));
        async { Ok::<_, BoxError>(Response::new(Full::<Bytes>::from("{}"))) }
    });
    (sent, BoxCloneSyncService::new(client))
}

// === base URLs, over sockets ===

#[tokio::test]
async fn each_azure_resource_gets_its_own_key_and_name() {
    let resources =
        [Resource::start(LIMITED).await, Resource::start(NO_MODEL).await, Resource::start(GOOD).await];
    let names = ["limited", "lacking", "good"];
    let keys = names.iter().zip(&resources).map(|(name, resource)| {
        api_key(name)
            .base_url(resource.base("/openai"))
            .model_name("gpt-4o", format!("gpt4o-{name}").as_str())
    });
    let pool = KeyPool::builder(azure()).keys(keys).build().unwrap();
    let service = KeyRotationLayer::new(pool).layer(hyper());
    for n in 0..20 {
        let by_path = n % 2 == 0;
        let path = if by_path {
            "/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
        } else {
            "/v1/chat/completions"
        };
        let response = service.clone().oneshot(request(path, "gpt-4o")).await.unwrap();
        assert_eq!((response.status(), served(&response).last()), (StatusCode::OK, Some(&"good")), "{n}");
    }
    let [limited, lacking, good] = resources.each_ref().map(Resource::seen);
    assert!(limited.len() <= 1 && lacking.len() <= 1, "{} {}", limited.len(), lacking.len());
    assert_eq!(limited.len() + lacking.len() + good.len(), 22);
    for (name, seen) in names.into_iter().zip([limited, lacking, good]) {
        let keys: BTreeSet<_> = seen.iter().map(|seen| seen.key.as_str()).collect();
        assert_eq!(keys, BTreeSet::from([&*secret(name)]), "the key of one resource is sent to no other");
        for seen in seen {
            let by_path = seen.path
                == format!("/openai/deployments/gpt4o-{name}/chat/completions?api-version=2024-10-21");
            let by_body = seen.path == "/openai/v1/chat/completions"
                && seen.body.contains(&format!(r#""model":"gpt4o-{name}""#));
            assert!(by_path || by_body, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_model_that_no_resource_has_is_the_callers_404() {
    let resources =
        [Resource::start(NO_MODEL).await, Resource::start(NO_MODEL).await, Resource::start(NO_MODEL).await];
    let keys =
        ["a", "b", "c"].iter().zip(&resources).map(|(id, it)| api_key(id).base_url(it.base("/openai")));
    let pool = KeyPool::builder(azure()).keys(keys).build().unwrap();
    let service = KeyRotationLayer::new(pool.clone()).layer(hyper());
    for _ in 0..3 {
        let response = service.clone().oneshot(request("/v1/chat/completions", "nope")).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("DeploymentNotFound"));
    }
    assert_eq!(pool.usable(None), 3, "no key is blamed for the name");
}

#[tokio::test]
async fn a_region_that_is_down_or_overloaded_costs_one_attempt() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let (overloaded, good) = (Resource::start(OVERLOADED).await, Resource::start(GOOD).await);
    let keys = [
        api_key("closed").base_url(format!("http://{closed}").parse::<BaseUrl>().unwrap()),
        api_key("overloaded").base_url(overloaded.base("")),
        api_key("good").base_url(good.base("")),
    ];
    let pool = KeyPool::builder(azure()).keys(keys).build().unwrap();
    let service = KeyRotationLayer::new(pool).layer(hyper());
    let mut attempts = 0;
    for _ in 0..20 {
        let response = service.clone().oneshot(request("/openai/v1/responses", "gpt-4o")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        attempts += served(&response).len();
    }
    assert_eq!((attempts, overloaded.seen().len()), (22, 1));
}

#[tokio::test]
async fn a_request_that_breaks_every_resource_takes_no_key_from_others() {
    let resources = [Resource::start(BROKEN).await, Resource::start(BROKEN).await];
    let keys = ["a", "b"].iter().zip(&resources).map(|(id, it)| api_key(id).base_url(it.base("")));
    let pool = KeyPool::builder(azure()).keys(keys).build().unwrap();
    let service = KeyRotationLayer::new(pool.clone()).layer(hyper());
    service.oneshot(request("/openai/v1/responses", "gpt-4o")).await.unwrap_err();
    assert_eq!(pool.usable(None), 2);
}

#[tokio::test]
async fn a_missing_model_is_found_behind_resources_in_good_standing() {
    let resources = [Resource::start(GOOD).await, Resource::start(GOOD).await, Resource::start(GOOD).await];
    let keys = ["a", "b", "c"].iter().zip(&resources).map(|(id, it)| api_key(id).base_url(it.base("")));
    let pool = KeyPool::builder(azure()).keys(keys).selection(Selection::InOrder).build().unwrap();
    let service = KeyRotationLayer::new(pool.clone()).layer(hyper());
    for key in ["a", "b", "c"] {
        let response = service.clone().oneshot(request("/openai/v1/responses", "gpt-4o")).await.unwrap();
        assert_eq!(served(&response), [key]);
        pool.disable(&KeyId::from(key)).unwrap();
    }
    for key in ["a", "b", "c"] {
        pool.enable(&KeyId::from(key)).unwrap();
    }
    resources[..2].iter().for_each(|it| *it.answer.lock().unwrap() = NO_MODEL);
    let response = service.clone().oneshot(request("/openai/v1/responses", "o3")).await.unwrap();
    assert_eq!(served(&response), ["a", "b", "c"]);
    let response = service.clone().oneshot(request("/openai/v1/responses", "o3")).await.unwrap();
    assert_eq!(served(&response), ["c"]);
    // An object without a model may be at any of them, and no key is blamed.
    let object =
        || Request::get("https://azure.invalid/openai/v1/files/f-1").body(Full::<Bytes>::default()).unwrap();
    for _ in 0..2 {
        let response = service.clone().oneshot(object()).await.unwrap();
        assert_eq!(served(&response), ["a", "b", "c"]);
    }
}

// === destinations, in process ===

#[tokio::test]
async fn a_key_without_a_base_url_goes_where_the_request_goes() {
    let (sent, client) = recorder();
    let provider = Provider::openai();
    let keys = [
        api_key("home"),
        api_key("relay")
            .base_url("https://relay.example/team/v1".parse::<BaseUrl>().unwrap())
            .header(HeaderName::from_static("openai-organization"), HeaderValue::from_static("org-9"))
            .header(HeaderName::from_static("x-tier"), HeaderValue::from_static("gold")),
    ];
    let pool = KeyPool::builder(provider).keys(keys).build().unwrap();
    let service = KeyRotationLayer::new(pool).layer(client);
    for _ in 0..2 {
        let request = Request::get("https://api.openai.com/v1/models?x=1")
            .header("host", "api.openai.com")
            .header("openai-organization", "the-callers")
            .body(Full::<Bytes>::default())
            .unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    let sent = sent.lock().unwrap().clone();
    let [home, relay] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((home.0.as_deref(), &*home.1), (None, "https://api.openai.com/v1/models?x=1"));
    assert!(home.2.get("openai-organization").is_none(), "that of the caller is removed");
    assert_eq!((relay.0.as_deref(), &*relay.1), (Some("relay"), "https://relay.example/team/v1/models?x=1"));
    assert_eq!(
        (&relay.2["openai-organization"], &relay.2["x-tier"]),
        (&HeaderValue::from_static("org-9"), &HeaderValue::from_static("gold"))
    );
    assert!(relay.2.get("host").is_none() && relay.2["openai-organization"].is_sensitive());
}

#[tokio::test]
async fn a_path_does_not_leave_the_base_of_a_key() {
    let (sent, client) = recorder();
    let key = api_key("one").base_url("https://relay.example/tenants/a/v1".parse::<BaseUrl>().unwrap());
    let pool = KeyPool::builder(Provider::openai()).key(key).build().unwrap();
    let service = KeyRotationLayer::new(pool).layer(client);
    let request = Request::get("https://api.openai.com/v1/%2e%2e/b").body(Full::<Bytes>::default()).unwrap();
    let error = service.oneshot(request).await.unwrap_err();
    assert!(matches!(error, Error::ApplyKey(_)), "{error}");
    assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_guard_lets_a_key_go_to_its_own_origin_only() {
    let (sent, client) = recorder();
    // Stands for a layer that follows a redirect: it sends the request to another host.
    let lured = Arc::new(Mutex::new(None::<&'static str>));
    let to = Arc::clone(&lured);
    let redirect = tower::util::MapRequestLayer::new(move |mut request: Request<ReplayBody>| {
        if let Some(uri) = *to.lock().unwrap() {
            *request.uri_mut() = uri.parse().unwrap();
        }
        request
    });
    let provider = azure();
    let key = api_key("east")
        .base_url("https://east.openai.azure.com".parse::<BaseUrl>().unwrap())
        .header(HeaderName::from_static("x-relay"), HeaderValue::from_static("tkrmarker"));
    let pool = KeyPool::builder(provider.clone()).key(key).build().unwrap();
    let service = ServiceBuilder::new()
        .layer(KeyRotationLayer::new(pool))
        .layer(redirect)
        .layer(OriginGuardLayer::new(provider))
        .service(client);
    for uri in [None, Some("https://west.openai.azure.com/x"), Some("https://evil.example/x")] {
        *lured.lock().unwrap() = uri;
        service.clone().oneshot(request("/openai/v1/models", "m")).await.unwrap();
    }
    let sent = sent.lock().unwrap();
    let has_secret = |headers: &HeaderMap| {
        headers.values().any(|value| value.as_bytes().windows(MARKER.len()).any(|it| it == MARKER.as_bytes()))
    };
    let secrets: Vec<_> = sent.iter().map(|(_, _, headers)| has_secret(headers)).collect();
    assert_eq!(secrets, [true, false, false]);
}

#[test]
fn no_text_shows_what_a_key_carries() {
    let base: BaseUrl = format!("https://relay.example/{MARKER}/v1").parse().unwrap();
    let value = HeaderValue::from_static(MARKER);
    let key = api_key("one").base_url(base.clone()).header(HeaderName::from_static("x-relay"), value);
    let text = format!("{key:?} {base:?} {base}");
    assert!(!text.contains(MARKER) && text.contains("relay.example"), "{text}");
    let own = format!("https://relay.example/{}/v1", secret("one"));
    let key = api_key("one").base_url(own.parse::<BaseUrl>().unwrap());
    let error = KeyPool::builder(Provider::openai()).key(key).build().unwrap_err();
    assert!(!error.to_string().contains(MARKER), "{error}");
}

#[test]
fn one_secret_may_have_several_base_urls() {
    let at = |id: &str, host: &str| {
        ApiKey::new("sk-shared").unwrap().id(id).base_url(host.parse::<BaseUrl>().unwrap())
    };
    let pool = |hosts: [&str; 2]| {
        KeyPool::builder(Provider::openai()).keys([at("a", hosts[0]), at("b", hosts[1])]).build()
    };
    assert!(pool(["https://eu.example", "https://us.example"]).is_ok());
    assert!(pool(["https://eu.example/v1", "https://eu.example/v1/"]).is_err());
}

// === restrictions ===

fn restricted() -> KeyPool {
    let keys = [
        api_key("free").only_models(["*-mini"]).except_endpoints(["*/batches*"]),
        api_key("chat").only_endpoints(["/v1/chat"]).except_models(["o*"]),
        api_key("all").only_models(["gpt-*", "o3"]),
    ];
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

fn usable_for(pool: &KeyPool, model: Option<&str>, path: &str) -> BTreeSet<String> {
    let model = model.map(ModelId::from);
    let request = AcquireRequest::from(model.as_ref()).endpoint(path);
    (0..9).filter_map(|_| pool.acquire(request).ok()).map(|lease| lease.key_id().to_string()).collect()
}

#[test]
fn a_request_gets_only_keys_that_may_serve_it() {
    let pool = restricted();
    for (model, path, expected) in [
        (Some("gpt-5-mini"), "/v1/chat/completions", &["all", "chat", "free"][..]),
        (Some("gpt-5-mini"), "/v1/responses", &["all", "free"]),
        (Some("gpt-5"), "/v1/chat/completions", &["all", "chat"]),
        (Some("o3"), "/v1/chat/completions", &["all"]),
        (Some("o1"), "/v1/chat/completions", &[]),
        (None, "/v1/batches", &["all"]),
        (None, "/v1/models", &["all", "free"]),
    ] {
        let expected = expected.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(usable_for(&pool, model, path), expected, "{model:?} {path}");
    }
    assert_eq!(pool.usable(Some(&"gpt-5".into())), 2);
    assert_eq!(pool.usable(None), 3);
    let exhausted = pool.acquire(&ModelId::from("claude-x")).map(drop);
    assert!(exhausted.is_ok(), "the key `chat` serves every model but those that begin with o");
    let model = ModelId::from("o1");
    let none = pool.acquire(AcquireRequest::new().model(&model)).unwrap_err();
    assert!(!none.is_served() && none.retry_after().is_none() && !none.is_probing(), "{none}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_key_may_serve_fails_at_once() {
    let (sent, client) = recorder();
    let pool = restricted();
    let mut events = pool.subscribe();
    let service =
        KeyRotationLayer::new(pool).wait_for_key(true).deadline(Duration::from_secs(60)).layer(client);
    let body = r#"{"model":"o1"}"#;
    let request =
        Request::post("https://api.openai.com/v1/responses").body(Full::<Bytes>::from(body)).unwrap();
    let before = Instant::now();
    let Error::AllKeysFailed(failed) = service.oneshot(request).await.unwrap_err() else { panic!() };
    assert_eq!(Instant::now(), before);
    assert_eq!((failed.stop_reason(), failed.retry_after()), (StopReason::NoKeyMayServe, None));
    let response = failed.into_response();
    assert_eq!((response.status(), response.headers().get("retry-after")), (StatusCode::NOT_FOUND, None));
    assert!(sent.lock().unwrap().is_empty());
    while let Some(Some(event)) = events.next().now_or_never() {
        assert!(!format!("{event:?}").contains("Exhausted"), "the pool is not exhausted: {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_does_not_stand_behind_one_that_needs_another_key() {
    let keys = [api_key("a").only_models(["ma"]), api_key("b").only_models(["mb"])];
    let pool = KeyPool::builder(Provider::openai()).keys(keys).build().unwrap();
    for (key, wait) in [("a", 60), ("b", 1)] {
        pool.cool_down(&KeyId::from(key), None, Duration::from_secs(wait)).unwrap();
    }
    let begin = Instant::now();
    let waiter = |model: &'static str| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let model = ModelId::from(model);
            let lease = pool.acquire_by(&model, begin + Duration::from_secs(100)).await.unwrap();
            (lease.key_id().to_string(), (Instant::now() - begin).as_secs())
        })
    };
    let slow = waiter("ma");
    tokio::task::yield_now().await;
    let fast = waiter("mb");
    assert_eq!(fast.await.unwrap(), ("b".to_owned(), 1));
    assert_eq!(slow.await.unwrap(), ("a".to_owned(), 60));
}

#[tokio::test]
async fn a_key_has_a_number_of_places() {
    let pool = KeyPool::builder(Provider::openai())
        .keys([api_key("one").concurrency(2), api_key("two").concurrency(1)])
        .build()
        .unwrap();
    let leases: Vec<_> = (0..3).map(|_| pool.acquire(()).unwrap()).collect();
    assert!(pool.acquire(()).unwrap_err().is_probing());
    drop(leases);
    assert_eq!(pool.usable(None), 2);
}

#[test]
fn a_pattern_that_is_no_path_fails_the_build() {
    for pattern in ["v1/batches", "", "/v1 x", "/v1?x"] {
        let key = api_key("one").except_endpoints([pattern]);
        let error = KeyPool::builder(Provider::openai()).key(key).build().unwrap_err();
        assert!(error.to_string().starts_with("key one: "), "{error}");
    }
}

#[tokio::test]
async fn an_own_scheme_comes_with_a_base_url() {
    let (sent, client) = recorder();
    let provider = Provider::builder("relay").auth(AuthScheme::Query("key".into())).build();
    let pool = KeyPool::builder(provider)
        .key(api_key("one").base_url("https://r.example/v1".parse::<BaseUrl>().unwrap()))
        .build()
        .unwrap();
    let service = KeyRotationLayer::new(pool).layer(client);
    service
        .oneshot(Request::get("/models?key=foreign&x=1").body(Full::<Bytes>::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(sent.lock().unwrap()[0].1, format!("https://r.example/v1/models?x=1&key={}", secret("one")));
}

// === changes at run time ===

#[test]
fn a_reload_changes_what_a_key_may_serve_and_keeps_its_state() {
    let pool = restricted();
    pool.cool_down(&KeyId::from("free"), None, Duration::from_secs(60)).unwrap();
    let base = |host: &str| format!("https://{host}.example").parse::<BaseUrl>().unwrap();
    let keys = || [api_key("chat").only_models(["o1"]), api_key("free"), api_key("new").except_models(["*"])];
    let changes = pool.reload(keys()).unwrap();
    assert_eq!((changes.added, changes.removed), (vec![KeyId::from("new")], vec![KeyId::from("all")]));
    assert_eq!(changes.changed.len(), 2, "their state stays");
    assert_eq!(usable_for(&pool, Some("o1"), "/v1/responses"), BTreeSet::from(["chat".to_owned()]));
    assert!(usable_for(&pool, Some("gpt-5-mini"), "/v1/responses").is_empty(), "`free` is in its cooldown");
    let [chat, free, new] = keys();
    let changes = pool.reload([chat.base_url(base("a")), free.base_url(base("b")), new]).unwrap();
    assert_eq!(changes.replaced.len(), 2, "a key at another place starts clean");
    assert!(!usable_for(&pool, Some("gpt-5-mini"), "/v1/responses").is_empty());
}

#[test]
fn the_state_of_one_secret_is_kept_for_each_base_url() {
    let at = |id: &str| {
        let base = format!("https://{id}.example").parse::<BaseUrl>().unwrap();
        ApiKey::new("sk-shared").unwrap().id(id).base_url(base)
    };
    let build = || KeyPool::builder(Provider::openai()).keys([at("eu"), at("us")]);
    let pool = build().build().unwrap();
    pool.cool_down(&KeyId::from("us"), None, Duration::from_secs(60)).unwrap();
    let restored = build().restore(pool.export()).build().unwrap();
    assert_eq!(usable_for(&restored, None, "/v1/models"), BTreeSet::from(["eu".to_owned()]));
}
