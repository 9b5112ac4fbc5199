//! Six keys, three of them bad, and no failed request.
//!
//! ```text
//! cargo run --example quickstart                    # a simulated provider over HTTP, no account needed
//! cargo run --example quickstart -- --json          # the same, as JSON
//! cargo run --example quickstart -- --live openai   # the real provider, with keys from the environment
//! ```

#![allow(clippy::print_stdout, reason = "an example talks")]

mod load;
mod report;

use std::time::Duration;

use clap::Parser;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, ServiceBuilder};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Latency, Limits, Script, SimFault, SimKey, SimServer, Simulator};

use crate::load::{Load, Target};
use crate::report::Report;

/// Rotates the keys of one provider under load, and shows the result for each key.
#[derive(Parser)]
struct Args {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Use the real provider (`openai`, or the name of another preset) with keys from the environment.
    #[arg(long, value_name = "PROVIDER")]
    live: Option<String>,
    /// Model to request.
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
}

type HyperClient = Client<HttpsConnector<HttpConnector>, ReplayBody>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let Args { json, live, model } = Args::parse();
    match live {
        Some(name) => real(&name, &model, json).await,
        None => simulated(&model, json).await,
    }
}

async fn simulated(model: &str, json: bool) -> Result<(), BoxError> {
    let (simulator, server) = provider_in_a_box().await?;
    let pool = KeyPool::builder(Provider::openai().with_origin(server.origin().parse()?))
        .keys(simulated_keys()?)
        .build()?;
    let load = Load { requests: 300, per_second: 150, at_most: 50, show: !json };
    let target = Target { url: server.uri("/v1/chat/completions").to_string(), model: model.to_owned() };
    let outcome = load.run(rotating(&pool), &target).await;
    let wasted = simulator.tally();
    let report =
        Report::new(&outcome, &pool).upstream(wasted.total, wasted.total - wasted.with(http::StatusCode::OK));
    println!("{}", if json { report.json()? } else { report.table() });
    Ok(())
}

async fn real(name: &str, model: &str, json: bool) -> Result<(), BoxError> {
    let provider = Provider::preset(name).ok_or_else(|| format!("no provider is called {name}"))?;
    let origin = provider.origins().first().ok_or("this provider has no origin of its own")?.to_string();
    let pool = KeyPool::from_env(provider)?;
    let load = Load { requests: 10, per_second: 2, at_most: 5, show: !json };
    let target = Target { url: format!("{origin}/v1/chat/completions"), model: model.to_owned() };
    let outcome = load.run(rotating(&pool), &target).await;
    let report = Report::new(&outcome, &pool);
    println!("{}", if json { report.json()? } else { report.table() });
    Ok(())
}

/// The whole integration: a layer around the client.
fn rotating(pool: &KeyPool) -> KeyRotation<HyperClient> {
    let https =
        HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_all_versions().build();
    let client = Client::builder(TokioExecutor::new()).build(https);
    ServiceBuilder::new().layer(KeyRotationLayer::new(pool.clone())).service(client)
}

async fn provider_in_a_box() -> Result<(Simulator, SimServer), BoxError> {
    let healthy = |name: &str, rate| key(name).limits(Limits::new().requests_per_second(rate).burst(rate));
    let simulator = Simulator::openai()
        .keys([healthy("team-a", 200), healthy("team-b", 120), healthy("team-c", 80)])
        .key(key("limited").script(Script::always(SimFault::rate_limited(Duration::from_secs(60)))))
        .key(key("revoked").revoked())
        .key(key("empty").out_of_credit())
        .latency(Latency::Uniform(Duration::from_millis(20)..Duration::from_millis(60)))
        .build();
    let server = simulator.serve().await?;
    Ok((simulator, server))
}

fn key(name: &str) -> SimKey {
    SimKey::new(name, format!("sk-simulated-{name}"))
}

fn simulated_keys() -> Result<Vec<ApiKey>, BoxError> {
    let names = ["team-a", "limited", "team-b", "revoked", "team-c", "empty"];
    names.map(|name| Ok(ApiKey::new(format!("sk-simulated-{name}"))?.id(name))).into_iter().collect()
}
