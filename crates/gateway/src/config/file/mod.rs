//! The unchecked content of a configuration file.
//!
//! Values that serde would quote in an error are plain text here. They are checked later, so that an error
//! names their place and not their content.
//!
//! The docs of the fields are the configuration reference, `docs/guide/configuration.md`, and the descriptions of the
//! JSON schema. The last paragraph of each field has its default, unless the file must set the field, and an example,
//! both in TOML; a test loads every example.

mod alert;
mod caller;
mod chain;
mod checks;
mod key;
mod limit;
mod provider;
mod server;

use serde::Deserialize;

pub(super) use self::alert::AlertTable;
pub(super) use self::caller::CallerTable;
pub(super) use self::chain::{BreakerTable, ChainTable, TimeoutsTable};
pub(super) use self::checks::ChecksTable;
pub(super) use self::key::KeyTable;
pub(super) use self::limit::LimitTable;
pub(super) use self::provider::{ProviderTable, RuleTable};
pub(super) use self::server::{CorsTable, RedisTable, RotationTable, ServerTable, StatusTable};
use crate::config::secret::Reference;

/// The content of a configuration file in any format; see the [module docs](super).
///
/// It can be a part of a larger file, since it implements `Deserialize`.
/// [`Loader::resolve`](crate::config::Loader::resolve) turns it into a [`Config`](crate::config::Config). It may hold secrets
/// and cannot be serialized.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ConfigFile {
    /// Address and port to listen on. Needs a restart to change.
    ///
    /// Default: `"127.0.0.1:8787"`. Example: `"0.0.0.0:8787"`
    pub(super) listen: Option<String>,
    /// Token that callers must send, as a bearer token or in the header for keys of the API that they use. At least 8
    /// characters. Without a token, callers must be on this machine, unless the program runs with `--allow-open`.
    ///
    /// Default: none. Example: `"env:GATEWAY_TOKEN"`
    pub(super) token: Option<Reference>,
    /// File that keeps cooldowns, invalid keys and counts across restarts. It holds no secret.
    ///
    /// Default: none, the state ends with the process. Example: `"/var/lib/gateway/state.json"`
    pub(super) state_file: Option<String>,
    /// Shares the state of keys between gateways.
    ///
    /// Default: none.
    pub(super) redis: Option<RedisTable>,
    /// The order of the providers, and when a request goes on to the next one.
    #[serde(default)]
    pub(super) chain: ChainTable,
    /// How keys are chosen, for all providers.
    #[serde(default)]
    pub(super) rotation: RotationTable,
    /// Limits on connections and requests. A router that is mounted in another app uses `hosts` and `body_timeout`
    /// only.
    #[serde(default)]
    pub(super) server: ServerTable,
    /// Web pages that may use the gateway.
    #[serde(default)]
    pub(super) cors: CorsTable,
    /// The status of keys at `/`, `/status`, `/health` and `/api/…`.
    #[serde(default)]
    pub(super) status: StatusTable,
    /// Checks of keys, with calls that cost nothing.
    #[serde(default)]
    pub(super) checks: ChecksTable,
    /// A webhook that gets a message when keys or providers fail, and when they are back. Any number.
    #[serde(default)]
    pub(super) alert: Vec<AlertTable>,
    /// A token with a name and limits of its own. Any number.
    #[serde(default)]
    pub(super) caller: Vec<CallerTable>,
    /// A provider and its keys. At least one.
    #[serde(default)]
    pub(super) provider: Vec<ProviderTable>,
}
