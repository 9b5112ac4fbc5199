//! A chain before the upstreams of a case, and the result for a caller.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, RespondLayer, Served};

use crate::case::{Behind, Case, Fault, Kind, Point};

/// The result for a caller.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    /// Whether `x-should-retry` is `false`, because another call may be one too many.
    pub(crate) no_retry: bool,
    /// The provider that served the request, according to the response.
    pub(crate) provider: Option<String>,
    pub(crate) body: Vec<u8>,
    /// The error of the body, if it broke.
    pub(crate) broke: Option<String>,
    /// The time until the response, and until its end.
    pub(crate) took: [Duration; 2],
    /// The number of calls of the first and the second provider.
    pub(crate) calls: [usize; 2],
}

/// The time limits of a chain, and the precision of measuring them.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Limit of each phase.
    pub(crate) phase: Duration,
    /// Limit of the request, until its response is delivered.
    pub(crate) deadline: Duration,
    pub(crate) slack: Duration,
}

/// Sends one request to a chain over these clients. Fails if the request does not end.
pub(crate) async fn run<C>(case: Case, limits: Limits, first: C, second: C) -> Result<Got, String>
where
    C: Service<Request<ReplayBody>, Response = Response<Incoming>, Error = BoxError>
        + Clone
        + Send
        + Sync
        + 'static,
    C::Future: Send,
{
    let layer = ProviderFallbackLayer::new("first")
        .head_timeout(limits.phase)
        .first_content_timeout(limits.phase)
        .idle_timeout(limits.phase)
        .deadline(limits.deadline)
        .commit(case.commit);
    let layer = match case.behind {
        Behind::Nothing => layer,
        _ => layer.fallback("second", rotating().layer(second), Route::new()),
    };
    let chain =
        ServiceBuilder::new().layer(RespondLayer::new()).layer(layer).service(rotating().layer(first));
    let asked = timeout(20 * limits.deadline, ask(chain, case.kind.is_stream()));
    asked.await.map_err(|_| "it does not end".to_owned())
}

/// The bytes of the first and of the second provider.
pub(crate) fn scripts(case: Case) -> [(Vec<u8>, Fault); 2] {
    let second = match case.behind {
        Behind::Down => Vec::new(),
        _ => well(case.kind).up_to(Point::Whole, "second").wire,
    };
    [(case.kind.up_to(case.point, "first").wire, case.fault), (second, Fault::Cut)]
}

/// The second provider never responds with an error.
pub(crate) const fn well(kind: Kind) -> Kind {
    if matches!(kind, Kind::Error) { Kind::JsonWithLength } else { kind }
}

fn rotating() -> KeyRotationLayer {
    let provider = Provider::openai().with_origin("http://llm.test".parse().unwrap());
    let keys = ["a", "b"].map(|key| ApiKey::new(format!("sk-{key}")).unwrap().id(key));
    KeyRotationLayer::new(KeyPool::builder(provider).keys(keys).build().unwrap())
}

async fn ask<S, B>(chain: S, stream: bool) -> Got
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let body = format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    let request =
        Request::post("http://llm.test/v1/chat/completions").header("content-type", "application/json");
    let began = Instant::now();
    let response = chain.oneshot(request.body(Full::from(body)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    let delivered = Instant::now().saturating_duration_since(began);
    let (mut bytes, mut broke) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Err(error) => broke = Some(error.to_string()),
        }
        if broke.is_some() {
            break;
        }
    }
    Got {
        status: head.status,
        no_retry: head.headers.get("x-should-retry").is_some_and(|value| value == "false"),
        provider: head.extensions.get::<Served>().map(|served| served.provider().to_owned()),
        body: bytes,
        broke,
        took: [delivered, Instant::now().saturating_duration_since(began)],
        calls: [0, 0],
    }
}
