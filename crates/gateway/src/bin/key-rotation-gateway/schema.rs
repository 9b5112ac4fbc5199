//! The command `schema`: prints the JSON schema of the configuration, or its reference.

use std::io::{self, Write as _};

use tower::BoxError;
use tower_key_rotation_gateway::config;

/// Print the JSON schema of the configuration file, for editors that complete and check it.
#[derive(clap::Args)]
pub(crate) struct Schema {
    /// Print the reference of all keys as Markdown instead.
    #[arg(long)]
    markdown: bool,
}

// === impl Schema ===

impl Schema {
    pub(crate) fn run(self) -> Result<(), BoxError> {
        let text = if self.markdown { config::reference() } else { format!("{:#}\n", config::json_schema()) };
        Ok(io::stdout().lock().write_all(text.as_bytes())?)
    }
}
