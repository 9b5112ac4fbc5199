//! Three providers in a box, and a configuration that knows them.
//!
//! What is written here as a text is what a file would hold; only the addresses are not known before.

use std::time::Duration;

use tower::BoxError;
use tower_key_rotation::config::{Config, Format, Loader};
use tower_key_rotation_sim::{Latency, Limits, SimBuilder, SimKey, SimServer, Simulator};

/// If this variable is set, callers have to show what it holds.
const TOKEN: &str = "GATEWAY_TOKEN";

/// The providers, for as long as this lives.
pub(crate) struct Demo {
    pub(crate) config: Config,
    _servers: [SimServer; 3],
}

impl Demo {
    /// Starts the providers: six keys, of which one is soon at its limit, one revoked, one out of credit.
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
    provider.latency(latency).event_gap(Duration::from_millis(30)).build().serve().await
}

fn key(name: &str) -> SimKey {
    SimKey::new(name, format!("sk-simulated-{name}"))
}

fn text([openai, anthropic, gemini]: &[String; 3]) -> String {
    let asked = std::env::var_os(TOKEN).is_some();
    let key = |id: &str| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"sk-simulated-{id}\"\n");
    [
        if asked { format!("token = \"env:{TOKEN}\"\n") } else { String::new() },
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
