//! Rotates keys around `reqwest`: `ANTHROPIC_API_KEYS=key1,key2 cargo run --example reqwest --
//! http://localhost:8080`.
//!
//! It needs `reqwest` 0.13, and is built without TLS. In your own program, enable one of `reqwest`'s TLS features
//! and leave the origin out: without TLS, every `https` URL is unreachable.

#![allow(clippy::print_stdout, reason = "an example talks")]

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{KeyPool, KeyRotationLayer, Provider};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let origin = std::env::args().nth(1).unwrap_or_else(|| "https://api.anthropic.com".to_owned());
    let pool = KeyPool::from_env(Provider::anthropic().allow_origin(origin.parse()?))?;
    let client = ReqwestClient::new(reqwest::Client::builder())?;
    let service = ServiceBuilder::new().layer(KeyRotationLayer::new(pool)).service(client);

    let body = r#"{"max_tokens":64,"messages":[{"role":"user","content":"Say hello."}],"model":"claude-sonnet-4-5"}"#;
    let request = Request::post(format!("{origin}/v1/messages"))
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01")
        .body(Full::<Bytes>::from(body))?;
    let response = service.oneshot(request).await?;

    println!("{}", response.status());
    println!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
