//! Three simulated providers, and the chain through them.

use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, ServiceBuilder};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::provider::AuthScheme;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Latency, Script, SimBuilder, SimKey, SimServer, Simulator};

/// Names of the links, in the order of the chain.
pub(crate) const LINKS: [&str; 3] = ["openai", "anthropic", "gemini"];

/// Keys of each provider.
const KEYS: [&str; 3] = ["a", "b", "c"];

/// Time without a response after which the chain goes on to the next provider.
const SILENCE: Duration = Duration::from_millis(500);

pub(crate) type Chain = ProviderFallback<KeyRotation<HyperClient>, ResponseBody<Incoming>>;
type HyperClient = Client<HttpConnector, ReplayBody>;

pub(crate) struct Providers {
    simulators: [Simulator; 3],
    servers: [SimServer; 3],
}

impl Providers {
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let simulators =
            [in_a_box(Simulator::openai()), in_a_box(Simulator::anthropic()), in_a_box(Simulator::gemini())];
        let [openai, anthropic, gemini] = &simulators;
        let servers = [openai.serve().await?, anthropic.serve().await?, gemini.serve().await?];
        Ok(Self { simulators, servers })
    }

    /// Replaces the scripts of the first and the second provider.
    pub(crate) fn befall(&self, troubles: [Script; 2]) {
        for (simulator, trouble) in self.simulators.iter().zip(troubles) {
            simulator.script(trouble);
        }
    }

    /// Returns the number of calls of each provider.
    pub(crate) fn calls(&self) -> [u64; 3] {
        self.simulators.each_ref().map(Simulator::calls)
    }

    /// The whole integration: a chain of clients, each with a layer for the keys of its provider.
    pub(crate) fn chain(&self) -> Result<Chain, BoxError> {
        let [openai, anthropic, gemini] = self.servers.each_ref().map(SimServer::origin);
        // Gemini's compatible endpoint takes bearer tokens, unlike Gemini's own API.
        let compatible_gemini =
            Provider::builder("gemini").auth(AuthScheme::Bearer).answers_like(&Provider::gemini()).build();
        // With the real providers: `Route::openai`, `::anthropic_compatible` and `::gemini_compatible`.
        let layer = ProviderFallbackLayer::new(LINKS[0])
            .route(Route::to(&format!("{openai}/v1"))?)
            .fallback(
                LINKS[1],
                rotating(Provider::anthropic(), &anthropic)?,
                Route::to(&format!("{anthropic}/v1"))?.any_model("claude-sonnet-4-5"),
            )
            .fallback(
                LINKS[2],
                rotating(compatible_gemini, &gemini)?,
                Route::to(&format!("{gemini}/v1beta/openai"))?.any_model("gemini-2.5-flash"),
            )
            .head_timeout(SILENCE)
            .breaker(BreakerPolicy::new().open_for(Duration::from_millis(500), Duration::from_secs(1)));
        Ok(ServiceBuilder::new().layer(layer).service(rotating(Provider::openai(), &openai)?))
    }
}

fn in_a_box(provider: SimBuilder) -> Simulator {
    provider
        .keys(KEYS.map(|name| SimKey::new(name, secret(name)).account("team")))
        .latency(Latency::Uniform(Duration::from_millis(5)..Duration::from_millis(20)))
        .build()
}

/// Returns a client that rotates the keys of one provider. All keys are of one account, so a limit that one
/// of them reports holds for the others too.
fn rotating(provider: Provider, origin: &str) -> Result<KeyRotation<HyperClient>, BoxError> {
    let mut pool = KeyPool::builder(provider.with_origin(origin.parse()?));
    for name in KEYS {
        pool = pool.key(ApiKey::new(secret(name))?.id(name).account("team"));
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    Ok(ServiceBuilder::new().layer(KeyRotationLayer::new(pool.build()?)).service(client))
}

fn secret(name: &str) -> String {
    format!("sk-simulated-{name}")
}
