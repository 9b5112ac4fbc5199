//! Tests of clouds through the layers of this crate. The upstream is a client that records what it gets.

#![cfg(all(feature = "eventstream", feature = "sigv4"))]

mod chain;
mod checks;
mod paths;
mod signatures;
mod streams;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};

use crate::body::ReplayBody;
use crate::cloud::{Cloud, CloudBody, CloudLayer, CloudService};
use crate::rotate::KeyRotation;
use crate::{ApiKey, KeyPool, KeyRotationLayer, Provider};

type Client = BoxCloneSyncService<Request<ReplayBody>, Response<Full<Bytes>>, BoxError>;
type Body = CloudBody<Full<Bytes>>;
type Rotating = KeyRotation<CloudService<Client>>;

/// One request as the cloud got it.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    uri: http::Uri,
    headers: HeaderMap,
    body: String,
}

/// The requests that an upstream got.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Seen {
    fn url(&self) -> String {
        self.uri.to_string()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn upstream(
    answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> (Client, Log) {
    let log = Log::default();
    let kept = log.clone();
    let client = service_fn(move |request: Request<ReplayBody>| {
        let (log, answer) = (kept.clone(), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
            let seen = Seen { method: head.method.to_string(), uri: head.uri, headers: head.headers, body };
            let response = answer(&seen);
            log.0.lock().unwrap().push(seen);
            Ok::<_, BoxError>(response)
        }
        .boxed()
    });
    (BoxCloneSyncService::new(client), log)
}

fn reply(status: u16, body: &str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::from(body.to_owned())).unwrap()
}

fn ok(_: &Seen) -> Response<Full<Bytes>> {
    reply(200, r#"{"type":"message","content":[]}"#)
}

fn rotating(cloud: Cloud, provider: &str, keys: Vec<ApiKey>, client: Client) -> (Rotating, KeyPool) {
    let pool = KeyPool::builder(Provider::preset(provider).unwrap()).keys(keys).build().unwrap();
    let service = KeyRotationLayer::new(pool.clone()).layer(CloudLayer::new(cloud).layer(client));
    (service, pool)
}

fn key(secret: &str, base: &str) -> ApiKey {
    ApiKey::new(secret).unwrap().base_url(base.parse().unwrap())
}

fn post(path: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::post(format!("https://caller.example{path}"));
    let request = request.header("content-type", "application/json").header("content-length", body.len());
    request.header("anthropic-version", "2023-06-01").body(Full::from(body.to_owned())).unwrap()
}

async fn send<S, B>(
    service: &S,
    request: Request<Full<Bytes>>,
) -> Result<(http::response::Parts, String), crate::Error>
where
    S: tower::Service<Request<Full<Bytes>>, Response = Response<B>, Error = crate::Error> + Clone,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let (head, body) = service.clone().oneshot(request).await?.into_parts();
    Ok((head, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()))
}
