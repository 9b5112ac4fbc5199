//! Rotation as the last middleware of a `reqwest_middleware` client.

mod support;

use std::sync::{Arc, Mutex};

use http::Extensions;
use integrations::with_reqwest_middleware::{Rotate, client};
use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result};
use support::Upstream;
use tower::Layer;
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{Error, KeyRotationLayer, ModelId, Served};
use tower_key_rotation_sim::SimFault;

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

fn without_redirects() -> reqwest::Client {
    reqwest::Client::builder().redirect(Policy::none()).build().unwrap()
}

/// Notes the status and the key of each response that it sees.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u16, String)>>>);

#[async_trait::async_trait]
impl Middleware for Seen {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let response = next.run(request, extensions).await?;
        let key = response.extensions().get::<Served>().unwrap().key_id().to_string();
        self.0.lock().unwrap().push((response.status().as_u16(), key));
        Ok(response)
    }
}

#[tokio::test]
async fn rotates_as_a_middleware() {
    let upstream = Upstream::openai().await;
    let client = client(without_redirects(), upstream.pool());
    let url = upstream.server.uri("/v1/chat/completions").to_string();
    for served in 1..=3 {
        let response = client.post(&url).body(BODY).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().as_str()), (200, url.as_str()));
        assert!(response.text().await.unwrap().contains("chat.completion"));
        upstream.assert_rotated(served);
    }
}

#[tokio::test]
async fn middlewares_before_it_see_one_response() {
    let upstream = Upstream::openai().await;
    let rotation = KeyRotationLayer::new(upstream.pool()).layer(ReqwestClient::from(without_redirects()));
    let seen = Seen::default();
    let client = ClientBuilder::new(without_redirects()).with(seen.clone()).with(Rotate::new(rotation));
    let url = upstream.server.uri("/v1/chat/completions").to_string();
    client.build().post(url).body(BODY).send().await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [(200, "good".to_owned())]);
}

#[tokio::test]
async fn extensions_reach_the_layer() {
    let upstream = Upstream::openai().await;
    let pool = upstream.pool();
    let client = client(without_redirects(), pool.clone());
    let url = upstream.server.uri("/v1/chat/completions").to_string();
    let named = ModelId::from("named-by-the-caller");
    client.post(url).with_extension(named.clone()).body(BODY).send().await.unwrap();
    let limited = &pool.snapshot().keys[0];
    assert_eq!(limited.models.iter().map(|it| &it.model).collect::<Vec<_>>(), [&named]);
}

#[tokio::test]
async fn an_error_keeps_its_type() {
    let upstream = Upstream::openai().await;
    upstream.sim.key("good").fail(1, SimFault::status(429));
    let client = client(without_redirects(), upstream.pool());
    let url = upstream.server.uri("/v1/chat/completions").to_string();
    let error = client.post(url).body(BODY).send().await.unwrap_err();
    let reqwest_middleware::Error::Middleware(error) = error else { panic!("{error}") };
    let failed = error.downcast_ref::<Error>();
    let Some(Error::AllKeysFailed(failed)) = failed else { panic!("{error}") };
    assert_eq!(failed.attempts().len(), 2);
}
