//! A reverse proxy for OpenAI's API: an axum route over a chain of two providers, each with its own keys.
//!
//! ```text
//! OPENAI_API_KEY_1=… OPENAI_API_KEY_2=… ANTHROPIC_API_KEY=… cargo run --example gateway
//! OPENAI_BASE_URL=http://127.0.0.1:8787/v1 OPENAI_API_KEY=any python your_program.py
//! ```
//!
//! It serves every caller that reaches it. The crate `tower-key-rotation-gateway` adds a token, limits on connections,
//! a configuration file and a status page.

use std::time::Duration;

use axum::Router;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{BoxError, Layer, ServiceBuilder};
use tower_key_rotation::fallback::Route;
use tower_key_rotation::{KeyPool, KeyRotationLayer, Provider, ProviderFallbackLayer, RespondLayer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let https = HttpsConnectorBuilder::new().with_webpki_roots().https_only().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build(https);
    let openai = KeyRotationLayer::new(KeyPool::from_env(Provider::openai())?);
    let anthropic = KeyRotationLayer::new(KeyPool::from_env(Provider::anthropic())?).layer(client.clone());

    let chain = ProviderFallbackLayer::new("openai")
        .route(Route::openai())
        .fallback("anthropic", anthropic, Route::anthropic_compatible().any_model("claude-sonnet-4-5"))
        .idle_timeout(Duration::from_secs(60))
        .deadline(Duration::from_secs(300));
    let proxy = ServiceBuilder::new()
        .layer(RespondLayer::new()) // errors become responses
        .layer(chain)
        .layer(openai)
        .service(client);

    let app = Router::new().route_service("/v1/{*path}", proxy);
    axum::serve(TcpListener::bind("127.0.0.1:8787").await?, app).await?;
    Ok(())
}
