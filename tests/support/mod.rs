//! Shared helpers for the tests of the rotation layer.

#![allow(dead_code, unused_imports, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod log;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Layer, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{AllKeysFailed, ApiKey, Error, KeyPool, KeyRotationLayer, Provider, Served};
use tower_key_rotation_sim::{SimKey, Simulator};

pub(crate) use self::log::Captured;

/// The origin of simulated providers that are called in process.
pub(crate) const ORIGIN: &str = "http://sim.test";

/// A marker that every key of these tests contains, and no output may contain.
pub(crate) const MARKER: &str = "tkrmarker";

pub(crate) fn secret(label: &str) -> String {
    format!("sk-{MARKER}-{label}")
}

/// A simulated OpenAI with these keys.
pub(crate) fn openai(keys: impl IntoIterator<Item = SimKey>) -> Simulator {
    Simulator::openai().keys(keys).build()
}

pub(crate) fn key(label: &str) -> SimKey {
    SimKey::new(label, secret(label))
}

/// A pool of the keys with these labels, for a provider at the tests' origin.
pub(crate) fn pool_of(provider: Provider, labels: &[&str]) -> KeyPool {
    let keys = labels.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
    KeyPool::builder(at_sim(provider)).keys(keys).build().unwrap()
}

pub(crate) fn pool(labels: &[&str]) -> KeyPool {
    pool_of(Provider::openai(), labels)
}

pub(crate) fn at_sim(provider: Provider) -> Provider {
    provider.with_origin(ORIGIN.parse().unwrap())
}

pub(crate) fn rotating(pool: &KeyPool, sim: &Simulator) -> KeyRotation<Simulator> {
    KeyRotationLayer::new(pool.clone()).layer(sim.clone())
}

/// A chat request in OpenAI's dialect.
pub(crate) fn chat(model: &str) -> Request<Full<Bytes>> {
    chat_with(model, "")
}

pub(crate) fn chat_stream(model: &str) -> Request<Full<Bytes>> {
    chat_with(model, r#","stream":true"#)
}

fn chat_with(model: &str, more: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    Request::post(format!("{ORIGIN}/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap()
}

/// Sends one request.
pub(crate) async fn send<S, B, R>(service: &S, request: Request<B>) -> Result<Response<R>, Error>
where
    S: tower::Service<Request<B>, Response = Response<R>, Error = Error> + Clone,
{
    service.clone().oneshot(request).await
}

pub(crate) async fn text<B>(response: Response<B>) -> String
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let bytes = response.into_body().collect().await.map_err(Into::into).unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn served<B>(response: &Response<B>) -> &Served {
    response.extensions().get::<Served>().expect("every answer says who served it")
}

pub(crate) fn all_keys_failed(error: Error) -> AllKeysFailed {
    match error {
        Error::AllKeysFailed(failed) => *failed,
        other => panic!("not AllKeysFailed: {other}"),
    }
}

/// A request body that comes in pieces.
pub(crate) fn streamed(
    pieces: &[&'static str],
) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + use<> {
    let frames: Vec<_> =
        pieces.iter().map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
    http_body_util::StreamBody::new(futures_util::stream::iter(frames))
}

/// The body that reached an inner service.
pub(crate) async fn received(body: ReplayBody) -> Result<Bytes, BoxError> {
    Ok(body.collect().await?.to_bytes())
}
