//! The command `alert-test`: a test message to each webhook.

use std::io::{self, Write};
use std::path::PathBuf;

use tower::BoxError;
use tower_key_rotation_gateway::alert::Alerts;
use tower_key_rotation_gateway::config::Loader;

use crate::describe::shown;

/// Send a test message to each webhook of a configuration file.
#[derive(clap::Args)]
pub(crate) struct AlertTest {
    /// Configuration file in TOML or JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

// === impl AlertTest ===

impl AlertTest {
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let config = Loader::new().load(&self.config)?;
        if config.alerts().is_empty() {
            return Err("the file has no [[alert]] table".into());
        }
        let mut failed = 0;
        for (webhook, result) in Alerts::over_https(config.alerts().iter().cloned()).test().await {
            let found = match result {
                Ok(()) => "delivered".to_owned(),
                Err(error) => {
                    failed += 1;
                    error.to_string()
                }
            };
            writeln!(io::stdout().lock(), "{}: {found}", shown(&webhook))?;
        }
        if failed > 0 {
            Err(format!("{failed} of {} test messages were not delivered", config.alerts().len()).into())
        } else {
            Ok(())
        }
    }
}
