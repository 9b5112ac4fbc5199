//! A classifier of one's own: a company proxy says 418 when a team's budget is spent.
//!
//! `cargo run --example custom_classifier` needs no network.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::{Fault, Outcome, Reason, Scope, Verdict};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let provider = Provider::openai().with_origin("https://llm.example.com".parse()?);
    let pool = KeyPool::builder(provider.clone())
        .key(ApiKey::new("sk-spent")?.id("spent").account("team-a"))
        .key(ApiKey::new("sk-fresh")?.id("fresh").account("team-b"))
        .build()?;

    // Our own rule first, the provider's for the rest.
    let builtin = provider.classifier();
    let classifier = service_fn(move |outcome: Outcome| {
        let mut builtin = builtin.clone();
        async move {
            if outcome.status() == Some(StatusCode::IM_A_TEAPOT) {
                return Ok::<_, Infallible>(Verdict::from(Fault::new(Reason::QuotaExceeded, Scope::Account)));
            }
            builtin.call(outcome).await
        }
    });

    let service = ServiceBuilder::new()
        .layer(KeyRotationLayer::with_classifier(pool.clone(), classifier))
        .service(service_fn(company_proxy));
    let request = Request::get("https://llm.example.com/v1/models").body(Full::<Bytes>::default())?;
    let response = service.oneshot(request).await?;

    let served = response.extensions().get::<Served>().ok_or("every answer has one")?;
    println!("{} served by {}", response.status(), served.key_id());
    for key in pool.snapshot().keys {
        println!("{}: {}", key.id, key.state);
    }
    Ok(())
}

async fn company_proxy(request: Request<ReplayBody>) -> Result<Response<Full<Bytes>>, http::Error> {
    let spent = request.headers()["authorization"] == "Bearer sk-spent";
    let status = if spent { StatusCode::IM_A_TEAPOT } else { StatusCode::OK };
    Response::builder().status(status).body(Full::default())
}
