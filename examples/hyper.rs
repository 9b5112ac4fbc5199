//! Rotates keys around hyper-util's client: `OPENAI_API_KEY_1=… OPENAI_API_KEY_2=… cargo run --example
//! hyper`.

#![allow(clippy::print_stdout, reason = "an example talks")]

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_key_rotation::{KeyPool, KeyRotationLayer, Provider, Served};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let pool = KeyPool::from_env(Provider::openai())?;
    let https = HttpsConnectorBuilder::new().with_webpki_roots().https_only().enable_all_versions().build();
    let client = ServiceBuilder::new()
        .layer(KeyRotationLayer::new(pool))
        .service(Client::builder(TokioExecutor::new()).build(https));

    let body = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello."}]}"#;
    let request = Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body))?;
    let response = client.oneshot(request).await?;

    println!("{}", response.status());
    if let Some(served) = response.extensions().get::<Served>() {
        println!("served by {} after {} rotations", served.key_id(), served.attempts().len());
    }
    println!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
