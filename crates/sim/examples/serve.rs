//! Three simulated providers on loopback ports, for trying out a client: `cargo run --example serve`.
//!
//! Each has two keys of different accounts, a key that serves one request per second, and a key whose responses begin
//! after five seconds.

use std::future::pending;
use std::io::Write;
use std::time::Duration;

use tower_key_rotation_sim::{Dialect, Latency, Limits, SimKey, Simulator};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let mut servers = Vec::new();
    for (dialect, path) in [(Dialect::OpenAi, "/v1"), (Dialect::Anthropic, ""), (Dialect::Gemini, "/v1beta")]
    {
        let key = |name: &str| SimKey::new(name, format!("sk-simulated-{name}"));
        let slow = key("slow").limits(Limits::new().requests_per_second(1).burst(1));
        let late = key("late").latency(Latency::Fixed(Duration::from_secs(5)));
        let sim = Simulator::builder(dialect).keys([key("a"), key("b"), slow, late]).listed_models_only();
        let server = sim.event_gap(Duration::from_millis(5)).build().serve().await?;
        writeln!(out, "{dialect:?}: {}{path}, keys sk-simulated-a, -b, -slow and -late", server.origin())?;
        servers.push(server);
    }
    pending().await
}
