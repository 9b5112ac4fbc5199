//! The tables about the gateway itself: `[redis]`, `[server]`, `[status]`, `[cors]` and `[rotation]`.

use std::num::NonZeroU32;

use serde::Deserialize;
#[cfg(feature = "schema")]
use tower_key_rotation::pool::Selection;

#[cfg(feature = "schema")]
use crate::config::schema::{Length, Word};
use crate::config::secret::Reference;
use crate::config::several::Several;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct RedisTable {
    /// URL of the server: `redis://USER:PASSWORD@HOST:PORT/DATABASE`. Of a list, the next one is tried when one does not
    /// work: nodes of a cluster, for example. With `sentinels`, the host is the name of the master.
    ///
    /// Example: `"env:REDIS_URL"`
    pub(in crate::config) url: Several<Reference>,
    /// URLs of Sentinels, which know the address of the master.
    ///
    /// Default: none. Example: `["redis://10.0.0.1:26379", "redis://10.0.0.2:26379"]`
    #[serde(default)]
    pub(in crate::config) sentinels: Vec<Reference>,
    /// Beginning of all names in Redis. Gateways with the same prefix share their state.
    ///
    /// Default: `"tower-key-rotation"`. Example: `"staging"`
    pub(in crate::config) prefix: Option<String>,
    /// Whether gateways stay together within the limits that are declared for keys: each takes requests from the part
    /// of a limit that it holds. With `false`, several gateways exceed a limit by what they take within about 100 ms.
    ///
    /// Default: `true`. Example: `false`
    pub(in crate::config) share_limits: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct ServerTable {
    /// Maximum time for the head of a request, and for a connection without a request.
    ///
    /// Default: `"30s"`. Example: `"10s"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) head_timeout: Option<String>,
    /// Maximum pause in the body of a request. A longer one ends the request with status 408.
    ///
    /// Default: `"30s"`. Example: `"1m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) body_timeout: Option<String>,
    /// Maximum time during which a caller does not read its response. The connection is closed after it; over HTTP/2, the
    /// response ends alone.
    ///
    /// Default: `"60s"`. Example: `"2m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) write_timeout: Option<String>,
    /// Maximum time for requests in flight after SIGTERM or SIGINT. A second signal ends the process at once.
    ///
    /// Default: `"30s"`. Example: `"5m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) shutdown_timeout: Option<String>,
    /// Maximum time without a byte from either side of a WebSocket, pings included. The WebSocket is closed after it.
    ///
    /// Default: `"10m"`. Example: `"1h"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    pub(in crate::config) websocket_idle_timeout: Option<String>,
    /// Maximum number of open connections. An idle one is closed for a new one.
    ///
    /// Default: half of the files that the process may open, at most 4,096. Example: `1024`
    pub(in crate::config) max_connections: Option<NonZeroU32>,
    /// Maximum number of requests in flight. Further ones get status 503.
    ///
    /// Default: `4096`. Example: `512`
    pub(in crate::config) max_requests: Option<NonZeroU32>,
    /// Maximum number of bytes of requests above 256 KiB that are kept in memory together. A request that finds no room
    /// there is kept in an unnamed temporary file below `TMPDIR`. Each of them takes up to 2 MiB beside it.
    ///
    /// Default: `67108864`. Example: `268435456`
    pub(in crate::config) max_body_memory: Option<u64>,
    /// Maximum number of bytes of requests that are kept in temporary files together. Further ones get status 503, and one
    /// that is larger than all of it gets 413.
    ///
    /// Default: `4294967296`. Example: `1073741824`
    pub(in crate::config) max_body_disk: Option<u64>,
    /// Host names, without ports, by which callers without a token reach the gateway, in addition to `localhost`, loopback
    /// addresses and the address it listens on.
    ///
    /// Default: none. Example: `["gateway.internal"]`
    pub(in crate::config) hosts: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct StatusTable {
    /// Token that turns the verbs of operators on: reset, disable, enable, drain, cool down. It also opens the status.
    ///
    /// Default: none, verbs are off. Example: `"env:OPERATOR_TOKEN"`
    pub(in crate::config) operator_token: Option<Reference>,
    /// Providers that must have a usable key for `/health` to be 200.
    ///
    /// Default: any provider of the chain is enough. Example: `["openai"]`
    pub(in crate::config) required: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct CorsTable {
    /// Origins whose pages may use the gateway, or `"*"` for all, which needs a token.
    ///
    /// Default: none. Example: `["https://app.example.com"]`
    pub(in crate::config) origins: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct RotationTable {
    /// The next key among the usable ones.
    ///
    /// Default: `"round_robin"`. Example: `"most_remaining"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Word<Selection>>"))]
    pub(in crate::config) selection: Option<String>,
    /// Request header whose value keeps requests at one key while that is usable, for the provider's prompt cache. It is
    /// not passed on.
    ///
    /// Default: none. Example: `"x-session-id"`
    pub(in crate::config) affinity_header: Option<String>,
    /// Used shares of a limit, from 0 to 1, at which a warning is emitted. At most 8.
    ///
    /// Default: `[0.8, 0.95]`. Example: `[0.5, 0.9]`
    pub(in crate::config) warn_at: Option<Vec<f64>>,
}
