//! Refusals of accounts over real sockets: with three keys of three accounts of which two are out, the third
//! serves every request.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use support::secret;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};

type Hyper = Client<HttpConnector, ReplayBody>;

/// A used-up quota or a lack of money, with a status that means something else.
const QUOTA_AND_MONEY: &[(u16, &str)] = &[
    (
        403,
        r#"{"error":{"message":"You've reached your weekly (7-day) usage limit.","type":"access_terminated_error"}}"#,
    ),
    (
        403,
        r#"{"error":{"message":"user quota is not enough","type":"v_api_error","code":"insufficient_user_quota"}}"#,
    ),
    (403, r#"{"code":"AccountOverdueError","message":"The request failed.","type":"Forbidden"}"#),
    (403, r#"{"error":{"type":"permission_error","message":"Your plan's monthly allowance is used up."}}"#),
    (
        403,
        r#"{"statusCode":403,"message":"Out of call volume quota. Quota will be replenished in 22.14:18:12."}"#,
    ),
    (401, r#"{"type":"error","error":{"type":"CreditsError","message":"Insufficient balance."}}"#),
    (400, r#"{"error":{"message":"Your prepaid credits are exhausted. Please top up."}}"#),
    (403, r#"{"error":{"message":"账户已欠费，请充值后重试"}}"#),
    (429, r#"{"error":{"message":"hour allocated quota exceeded"}}"#),
];

/// A model that is not in the plan of the account.
const ACCESS: &[(u16, &str)] = &[
    (403, r#"{"error":"this model requires a subscription, upgrade for access"}"#),
    (
        400,
        r#"{"error":{"message":"no endpoints available for this model under your current plan and policies"}}"#,
    ),
    (
        404,
        r#"{"error":{"code":"ModelNotOpen","message":"Your account has not activated the model m.","type":"NotFound"}}"#,
    ),
    (404, r#"{"message":"Model use case details have not been submitted for this account."}"#),
    (400, r#"{"error":{"message":"This model is not included in your subscription."}}"#),
    (403, r#"{"error":{"message":"Your organization must be verified to use this model."}}"#),
];

/// Responses that do not tell whether the request or the account is at fault.
const UNCLEAR: &[(u16, &str)] = &[
    (
        404,
        r#"{"error":{"message":"The model `m` does not exist or you do not have access to it.","code":"model_not_found"}}"#,
    ),
    (418, "{}"),
];

/// A provider that refuses the keys `a` and `b` while it is told to.
struct Stage {
    service: KeyRotation<Hyper>,
    pool: KeyPool,
    origin: String,
    is_refusing: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

#[tokio::test]
async fn a_third_account_serves_what_two_have_no_quota_for() {
    for (status, body) in QUOTA_AND_MONEY {
        Stage::new(*status, body, "c").await.loses_nothing().await;
    }
}

#[tokio::test]
async fn a_third_account_serves_what_two_may_not_use() {
    for (status, body) in ACCESS {
        Stage::new(*status, body, "c").await.loses_nothing().await;
    }
}

#[tokio::test]
async fn an_unclear_refusal_is_tried_with_one_other_account() {
    for (status, body) in UNCLEAR {
        let stage = Stage::new(*status, body, "").await;
        stage.refuse(true);
        for requests in 1..=5 {
            assert_eq!(stage.send().await.0, *status, "it is delivered");
            assert_eq!(stage.calls(), requests * 2, "{body}");
        }
        assert_eq!(stage.pool.usable(None), 3, "nothing is remembered");
        stage.refuse(false);
        assert_eq!(stage.send().await.0, 200);
    }
}

#[tokio::test]
async fn an_unclear_refusal_is_delivered_if_no_other_account_responds() {
    let (status, body) = UNCLEAR[0];
    let stage = Stage::new(status, body, "").await;
    stage.refuse(true);
    for key in &stage.pool.snapshot().keys[1..] {
        stage.pool.disable(&key.id).unwrap();
    }
    assert_eq!(stage.send().await.0, status);
    assert_eq!(stage.calls(), 1);
}

#[tokio::test]
async fn another_account_serves_what_is_unclear() {
    for (status, body) in UNCLEAR {
        // The keys take turns, so at most one of two in a row refuses.
        let stage = Stage::new(*status, body, "bc").await;
        stage.refuse(true);
        for _ in 0..10 {
            assert_eq!(stage.send().await.0, 200, "{body}");
        }
    }
}

#[tokio::test]
async fn a_chain_falls_over_when_no_account_may_use_the_model() {
    for (status, body) in ACCESS.iter().chain(QUOTA_AND_MONEY) {
        let (first, second) = (Stage::new(*status, body, "").await, Stage::new(200, "{}", "abc").await);
        first.refuse(true);
        let to = |stage: &Stage| Route::to(&format!("{}/v1", stage.origin)).unwrap();
        let layer = ProviderFallbackLayer::new("first").route(to(&first)).fallback(
            "second",
            second.service.clone(),
            to(&second),
        );
        let chain = ServiceBuilder::new().layer(layer).service(first.service.clone());
        let body = Full::<Bytes>::from(r#"{"model":"m","messages":[]}"#);
        let request = Request::post("http://chain.test/v1/chat/completions").body(body).unwrap();
        let response = chain.oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get::<Served>().unwrap().provider(), "second");
        assert_eq!((first.calls(), second.calls()), (3, 1), "every account of the first is asked");
    }
}

impl Stage {
    /// Starts a server that refuses all keys but those in `good`.
    async fn new(status: u16, body: &'static str, good: &'static str) -> Self {
        let (is_refusing, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (refuses, counts) = (Arc::clone(&is_refusing), Arc::clone(&calls));
        let origin = serve(move |key| {
            counts.fetch_add(1, Ordering::SeqCst);
            let is_good = !refuses.load(Ordering::SeqCst) || good.contains(key);
            if is_good { (200, "{}") } else { (status, body) }
        });
        let origin = origin.await;
        let provider = Provider::compatible("nobody").with_origin(origin.parse().unwrap());
        let pool = ["a", "b", "c"].iter().fold(KeyPool::builder(provider), |pool, label| {
            pool.key(ApiKey::new(secret(label)).unwrap().id(*label).account(format!("account-{label}")))
        });
        let pool = pool.build().unwrap();
        let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
        let service = KeyRotationLayer::new(pool.clone()).layer(client);
        Self { service, pool, origin, is_refusing, calls }
    }

    fn refuse(&self, is_refusing: bool) {
        self.is_refusing.store(is_refusing, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Sends a request. Returns the status, and the key that served it.
    async fn send(&self) -> (u16, String) {
        let body = Full::<Bytes>::from(r#"{"model":"m","messages":[]}"#);
        let request = Request::post(format!("{}/v1/chat/completions", self.origin)).body(body).unwrap();
        let response = self.service.clone().oneshot(request).await.unwrap();
        let served = response.extensions().get::<Served>().unwrap();
        (response.status().as_u16(), served.key_id().to_string())
    }

    /// All requests are served, whether the keys are new or have served before.
    async fn loses_nothing(self) {
        let served = (200, "c".to_owned());
        self.refuse(true);
        for _ in 0..10 {
            assert_eq!(self.send().await, served);
        }
        assert!(self.calls() <= 12, "each account that is out is called once: {}", self.calls());
        self.pool.reset_all();
        self.refuse(false);
        for _ in 0..6 {
            assert_eq!(self.send().await.0, 200);
        }
        self.refuse(true);
        let (stage, mut requests) = (Arc::new(self), JoinSet::new());
        for _ in 0..20 {
            let stage = Arc::clone(&stage);
            requests.spawn(async move { stage.send().await });
        }
        while let Some(response) = requests.join_next().await {
            assert_eq!(response.unwrap(), served);
        }
    }
}

/// Serves HTTP on a free port. `respond` gets the last letter of the key.
async fn serve(respond: impl Fn(&str) -> (u16, &'static str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let respond = Arc::new(respond);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let respond = Arc::clone(&respond);
            let service = service_fn(move |request: Request<Incoming>| {
                let key = request.headers()["authorization"].to_str().unwrap_or_default().to_owned();
                let (status, body) = respond(&key[key.len() - 1..]);
                let response = Response::builder().status(status).header("content-type", "application/json");
                async move { Ok::<_, Infallible>(response.body(Full::<Bytes>::from(body)).unwrap()) }
            });
            let service = TowerToHyperService::new(service);
            tokio::spawn(async move {
                drop(
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await,
                );
            });
        }
    });
    origin
}
