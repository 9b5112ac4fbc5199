//! The command `status`: the keys of a running gateway as a table.

mod client;
mod table;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use http::Uri;
use serde_json::Value;
use tokio::time::sleep;
use tower::BoxError;

use self::client::StatusClient;

/// Show the keys of a running gateway.
#[derive(clap::Args)]
pub(crate) struct Status {
    /// Address of the gateway, with the path at which it is mounted.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    url: Uri,
    /// Variable that holds the gateway's token or the operator token, if one is configured.
    #[arg(long, value_name = "NAME", default_value = "GATEWAY_TOKEN")]
    token_env: String,
    /// Show the table again every 2 seconds.
    #[arg(long)]
    watch: bool,
    /// Print the documents `/status` and `/api/key-status` as JSON.
    #[arg(long, conflicts_with = "watch")]
    json: bool,
}

/// Interval of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);

/// Clears a terminal and moves the cursor to its beginning.
const CLEAR: &str = "\x1b[2J\x1b[H";

// === impl Status ===

impl Status {
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let token = std::env::var(&self.token_env).ok();
        let client = StatusClient::new(&self.url, token)?;
        let is_coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        loop {
            let documents = client.read().await;
            match documents {
                Ok((status, keys)) => self.show(&status, &keys, is_coloured)?,
                // A gateway that restarts is watched on.
                Err(error) if self.watch => writeln!(io::stdout().lock(), "{CLEAR}{error}")?,
                Err(error) => return Err(error),
            }
            if !self.watch {
                return Ok(());
            }
            sleep(INTERVAL).await;
        }
    }

    fn show(&self, status: &Value, keys: &Value, is_coloured: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return writeln!(out, "{}", serde_json::json!({"status": status, "key_status": keys}));
        }
        let clear = if self.watch { CLEAR } else { "" };
        write!(out, "{clear}{}", table::render(status, keys, is_coloured))?;
        out.flush()
    }
}
