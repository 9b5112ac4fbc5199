//! A custom classifier, for a company proxy that reports an exhausted team budget in two ways: with status
//! 418, and with `{"code":1001}` in the body of a 200.
//!
//! The second needs `errors_in_ok_bodies(true)`: otherwise the layer does not read the body of a success. The
//! classifier uses the pieces of the built-in ones: [`ErrorBody`] finds codes and messages in any shape of body,
//! [`Reading`] tells what they mean, and [`hints`] reads the wait.
//!
//! `cargo run --example custom_classifier` needs no network.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::{
    ErrorBody, Evidence, Fault, Outcome, Reading, Reason, Scope, Verdict, hints,
};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Bodies of successes are read only if the provider is known to put errors there.
    let provider = Provider::builder("proxy")
        .origin("https://llm.example.com".parse()?)
        .answers_like(&Provider::openai())
        .errors_in_ok_bodies(true)
        .build();
    let pool = KeyPool::builder(provider.clone())
        .key(ApiKey::new("sk-teapot")?.id("teapot").account("team-a"))
        .key(ApiKey::new("sk-code")?.id("code").account("team-b"))
        .key(ApiKey::new("sk-fresh")?.id("fresh").account("team-c"))
        .build()?;

    // Applies the proxy's rule first, and the provider's rules to everything else.
    let builtin = provider.classifier();
    let classifier = service_fn(move |outcome: Outcome| {
        let mut builtin = builtin.clone();
        async move {
            if let Some(fault) = spent(&outcome) {
                return Ok::<_, Infallible>(Verdict::from(fault));
            }
            builtin.call(outcome).await
        }
    });

    let service = ServiceBuilder::new()
        .layer(KeyRotationLayer::with_classifier(pool.clone(), classifier))
        .service(service_fn(company_proxy));
    let request = Request::get("https://llm.example.com/v1/models").body(Full::<Bytes>::default())?;
    let response = service.oneshot(request).await?;

    let served = response.extensions().get::<Served>().ok_or("every response has one")?;
    println!("{} served by {}", response.status(), served.key_id());
    for attempt in served.attempts() {
        println!("before it: {attempt}");
    }
    for key in pool.snapshot().keys {
        println!("{}: {}", key.id, key.state);
    }
    Ok(())
}

/// Returns a fault if the team's budget is spent, with the wait that the message names.
fn spent(outcome: &Outcome) -> Option<Fault> {
    let body = ErrorBody::parse(outcome.body());
    let is_spent = outcome.status() == Some(StatusCode::IM_A_TEAPOT)
        || body.is_named("1001")
        || Reading::of(&body).says(Evidence::Money);
    let wait = hints::sentence(body.message(), outcome.now(), 0);
    is_spent.then(|| {
        Fault::new(Reason::QuotaExceeded, Scope::Account).with_retry_after(wait).with_account_reason(true)
    })
}

async fn company_proxy(request: Request<ReplayBody>) -> Result<Response<Full<Bytes>>, http::Error> {
    let (status, body) = match request.headers()["authorization"].as_bytes() {
        b"Bearer sk-teapot" => (StatusCode::IM_A_TEAPOT, ""),
        b"Bearer sk-code" => {
            (StatusCode::OK, r#"{"code":1001,"message":"the team's budget is spent, resets in 2 days"}"#)
        }
        _ => (StatusCode::OK, r#"{"data":[]}"#),
    };
    Response::builder().status(status).body(Full::from(body))
}
