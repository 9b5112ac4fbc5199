//! Rotation, or a chain of providers, as the HTTP client of `rig`.

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use reqwest::Body;
use rig_core::http_client::{
    BoxedStream, Error, HttpClientExt, LazyBody, MultipartForm, Result, StreamingResponse,
};
use rig_core::providers::openai::{OpenAI, OpenAIConfig};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{KeyPool, KeyRotationLayer, RespondLayer};

/// Returns rig's client of OpenAI with the keys of a pool. `base_url` is `https://api.openai.com/v1`, or another one
/// with the same API.
pub fn openai(client: ReqwestClient, pool: KeyPool, base_url: &str) -> OpenAI {
    let service = ServiceBuilder::new()
        .layer(RespondLayer::new()) // rig sorts errors by their status
        .layer(KeyRotationLayer::new(pool))
        .service(client);
    OpenAIConfig::new("unused").with_base_url(base_url).connect(TowerHttp::new(service))
}

/// A tower service as the HTTP client of rig: a `KeyRotation` or a `ProviderFallback` around a `ReqwestClient`.
#[derive(Clone, Debug)]
pub struct TowerHttp(BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>);

impl TowerHttp {
    /// Creates the client from the service that it calls.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Into<Body>,
    {
        let service = service.map_response(|response: Response<B>| response.map(Into::into));
        Self(BoxCloneSyncService::new(service.map_err(Into::into)))
    }

    /// Sends a request. A response with an error status becomes an error, as rig expects of its clients.
    fn exchange(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Body>>> {
        let response = self.0.clone().oneshot(request.map(Full::new));
        Box::pin(async {
            let response = response.await.map_err(Error::Instance)?;
            if response.status().is_success() {
                return Ok(response);
            }
            let (head, body) = response.into_parts();
            let body = String::from_utf8_lossy(&whole(body).await?).into_owned();
            Err(Error::non_success_with_details(head.status, head.headers, body))
        })
    }
}

async fn whole(body: Body) -> Result<Bytes> {
    Ok(body.collect().await.map_err(Error::instance)?.to_bytes())
}

impl HttpClientExt for TowerHttp {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        let response = self.exchange(request.map(Into::into));
        async {
            let lazy = |body| -> LazyBody<U> { Box::pin(async { Ok(whole(body).await?.into()) }) };
            Ok(response.await?.map(lazy))
        }
    }

    fn send_multipart<U>(
        &self,
        request: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        U: From<Bytes> + Send + 'static,
    {
        let (mut head, form) = request.into_parts();
        let (boundary, body) = form.encode();
        let media = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
        let sent = media.map(|media| {
            head.headers.insert(CONTENT_TYPE, media);
            self.send(Request::from_parts(head, body))
        });
        async { sent?.await }
    }

    async fn send_streaming<T: Into<Bytes> + Send>(&self, request: Request<T>) -> Result<StreamingResponse> {
        let response = self.exchange(request.map(Into::into)).await?;
        Ok(response.map(|body| -> BoxedStream { Box::pin(body.into_data_stream().map_err(Error::instance)) }))
    }
}
