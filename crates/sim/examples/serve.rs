//! Three simulated providers on loopback ports, for trying out a client: `cargo run --example serve`.

use std::future::pending;
use std::io::Write;

use tower_key_rotation_sim::{Dialect, Simulator};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let mut servers = Vec::new();
    for (dialect, path) in [(Dialect::OpenAi, "/v1"), (Dialect::Anthropic, ""), (Dialect::Gemini, "/v1beta")]
    {
        let sim = Simulator::builder(dialect).key(("a", "sk-simulated")).listed_models_only().build();
        let server = sim.serve().await?;
        writeln!(out, "{dialect:?}: {}{path}, key sk-simulated", server.origin())?;
        servers.push(server);
    }
    pending().await
}
