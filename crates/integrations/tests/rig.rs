//! Rotation and a chain as the HTTP client of rig.

mod support;

use futures_util::StreamExt;
use http::Request;
use integrations::with_rig::{self, TowerHttp};
use rig_core::completion::CompletionRequest;
use rig_core::http_client::multipart::Part;
use rig_core::http_client::{HttpClientExt, MultipartForm};
use rig_core::providers::openai::{OpenAI, OpenAIConfig};
use support::Upstream;
use tower::{BoxError, Layer, ServiceBuilder};
use tower_key_rotation::fallback::Route;
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{KeyRotationLayer, ProviderFallbackLayer};
use tower_key_rotation_sim::{Script, SimFault};

const WORDS: &str = "quick brown fox";

fn client() -> ReqwestClient {
    ReqwestClient::new(reqwest::Client::builder()).unwrap()
}

/// Returns rig's client of the upstream, with rotation.
fn openai(upstream: &Upstream) -> OpenAI {
    with_rig::openai(client(), upstream.pool(), &base_url(upstream))
}

fn base_url(upstream: &Upstream) -> String {
    upstream.server.uri("/v1").to_string()
}

#[tokio::test]
async fn rotates_inside_rig() -> Result<(), BoxError> {
    let upstream = Upstream::openai().await;
    let openai = openai(&upstream);
    let response = openai.chat("gpt-4o").call(CompletionRequest::new("Say hello.")).await?;
    assert!(response.text().contains(WORDS), "{}", response.text());
    let response = openai.responses("gpt-4o").call(CompletionRequest::new("Say hello.")).await?;
    assert!(response.text().contains(WORDS), "{}", response.text());
    upstream.assert_rotated(2);
    Ok(())
}

#[tokio::test]
async fn streams_inside_rig() -> Result<(), BoxError> {
    let upstream = Upstream::openai().await;
    let mut stream = openai(&upstream).chat("gpt-4o").stream(CompletionRequest::new("Say hello."))?;
    let mut items = 0;
    while let Some(item) = stream.next().await {
        item?;
        items += 1;
    }
    assert!(items > 3, "{items} items");
    upstream.assert_rotated(1);
    Ok(())
}

#[tokio::test]
async fn forms_are_sent_again() -> Result<(), BoxError> {
    let upstream = Upstream::openai().await;
    let http = TowerHttp::new(KeyRotationLayer::new(upstream.pool()).layer(client()));
    let file = Part::bytes("file", "{}\n").filename("batch.jsonl");
    let form = MultipartForm::new().text("purpose", "batch").part(file);
    let request = Request::post(upstream.server.uri("/v1/files")).body(form)?;
    let response = http.send_multipart::<Vec<u8>>(request).await?;
    assert_eq!(response.status(), 200);
    let file = response.into_body().await?;
    assert!(String::from_utf8(file)?.contains("batch.jsonl"));
    upstream.assert_rotated(1);
    Ok(())
}

#[tokio::test]
async fn rig_gets_the_status_when_no_key_serves() {
    let upstream = Upstream::openai().await;
    upstream.sim.key("good").fail(1, SimFault::status(429));
    let error =
        openai(&upstream).chat("gpt-4o").call(CompletionRequest::new("Say hello.")).await.unwrap_err();
    assert!(format!("{error:?}").contains("429"), "{error:?}");
}

#[tokio::test]
async fn a_chain_works_inside_rig() -> Result<(), BoxError> {
    let (first, second) = (Upstream::openai().await, Upstream::openai().await);
    first.sim.script(Script::always(SimFault::overloaded()));
    let chain = ProviderFallbackLayer::new("first").fallback(
        "second",
        KeyRotationLayer::new(second.pool()).layer(client()),
        Route::to(&base_url(&second))?.any_model("gpt-4o-mini"),
    );
    let service = ServiceBuilder::new().layer(chain).layer(KeyRotationLayer::new(first.pool()));
    let config = OpenAIConfig::new("unused").with_base_url(base_url(&first));
    let openai = config.connect(TowerHttp::new(service.service(client())));
    let response = openai.chat("gpt-4o").call(CompletionRequest::new("Say hello.")).await?;
    assert!(response.text().contains(WORDS));
    second.assert_rotated(1);
    Ok(())
}
