//! Three simulated providers and a configuration for them.
//!
//! The configuration is the text of a file, with the addresses of the providers filled in.

use std::time::Duration;

use tower::BoxError;
use tower_key_rotation_gateway::config::{Config, Format, Loader};
use tower_key_rotation_sim::{Latency, Limits, SimBuilder, SimKey, SimServer, Simulator};

/// Variable with the token that callers must send. Without it, no token is required.
const TOKEN: &str = "GATEWAY_TOKEN";

/// Simulated providers, which run until it is dropped.
pub(crate) struct Demo {
    pub(crate) config: Config,
    _servers: [SimServer; 3],
}

impl Demo {
    /// Starts the providers with six keys: one soon reaches its limit, one is revoked, one has no credit.
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let limited = key("openai-small").limits(Limits::new().requests_per_minute(3));
        let openai = Simulator::openai().keys([limited, key("openai-revoked").revoked(), key("openai-big")]);
        let anthropic = Simulator::anthropic().keys([key("claude-empty").out_of_credit(), key("claude-one")]);
        let gemini = Simulator::gemini().key(key("gemini-one"));
        let servers = [serve(openai).await?, serve(anthropic).await?, serve(gemini).await?];
        let origins = servers.each_ref().map(SimServer::origin);
        let config = Loader::new().parse(&text(&origins), Format::Toml)?;
        Ok(Self { config, _servers: servers })
    }
}

async fn serve(provider: SimBuilder) -> std::io::Result<SimServer> {
    let latency = Latency::Uniform(Duration::from_millis(20)..Duration::from_millis(60));
    provider.latency(latency).event_gap(Duration::from_millis(30)).listed_models_only().build().serve().await
}

fn key(name: &str) -> SimKey {
    SimKey::new(name, format!("sk-simulated-{name}"))
}

fn text([openai, anthropic, gemini]: &[String; 3]) -> String {
    let has_token = std::env::var_os(TOKEN).is_some();
    let key = |id: &str| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"sk-simulated-{id}\"\n");
    [
        if has_token { format!("token = \"env:{TOKEN}\"\n") } else { String::new() },
        "[chain]\ndeadline = \"60s\"\nhead_timeout = \"30s\"\nidle_timeout = \"20s\"\n".to_owned(),
        format!("[[provider]]\nname = \"openai\"\nbase_url = \"{openai}/v1\"\n"),
        key("openai-small"),
        key("openai-revoked"),
        key("openai-big"),
        format!("[[provider]]\nname = \"anthropic\"\nbase_url = \"{anthropic}/v1\"\n"),
        "[provider.models]\n\"*\" = \"claude-sonnet-5-5\"\n".to_owned(),
        key("claude-empty"),
        key("claude-one"),
        format!("[[provider]]\nname = \"gemini\"\nbase_url = \"{gemini}/v1beta/openai\"\n"),
        "[provider.models]\n\"*\" = \"gemini-2.5-flash\"\n".to_owned(),
        key("gemini-one"),
    ]
    .concat()
}
