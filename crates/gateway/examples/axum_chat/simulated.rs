//! Simulated providers with two keys each, of which the first may do three requests a minute. Leave this file out.

use tokio::time::Duration;
use tower::BoxError;
use tower_key_rotation::{ApiKey, Provider, fallback::Route};
use tower_key_rotation_sim::{Limits, SimKey, SimServer, Simulator};

use crate::providers::Link;

pub(crate) async fn providers() -> Result<(Vec<Link>, Vec<SimServer>), BoxError> {
    let (mut links, mut servers) = (Vec::new(), Vec::new());
    for (provider, path, simulator) in [
        (Provider::openai(), "/v1", Simulator::openai()),
        (Provider::anthropic(), "/v1", Simulator::anthropic()),
        (Provider::gemini(), "/v1beta/openai", Simulator::gemini()),
    ] {
        let few = SimKey::new("few", "sk-sim-1").limits(Limits::new().requests_per_minute(3));
        let simulator = simulator.keys([few, SimKey::new("many", "sk-sim-2")]).words(24);
        let server = simulator.event_gap(Duration::from_millis(60)).build().serve().await?;
        let provider = provider.with_origin(server.origin().parse()?);
        let keys = vec![ApiKey::new("sk-sim-1")?.id("few"), ApiKey::new("sk-sim-2")?.id("many")];
        links.push((provider, Route::to(&(server.origin() + path))?, keys));
        servers.push(server);
    }
    Ok((links, servers))
}
