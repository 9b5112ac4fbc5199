//! The `[server]` table: limits on connections and requests, and host names.
//!
//! [`serve`](crate::serve()) applies the limits on connections and requests, and the gateway the others and the host
//! names. An app that mounts the router on a server of its own sets limits on connections and requests there.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::ServerTable;
use crate::config::location::ValuePath;

/// The `[server]` table. `None` is a value that the file does not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSettings {
    head_timeout: Option<Duration>,
    body_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    shutdown_timeout: Option<Duration>,
    websocket_idle_timeout: Option<Duration>,
    max_connections: Option<NonZeroU32>,
    max_requests: Option<NonZeroU32>,
    max_body_memory: Option<u64>,
    max_body_disk: Option<u64>,
    hosts: Vec<String>,
}

// === impl ServerSettings ===

impl ServerSettings {
    /// Maximum number of requests in flight, unless the file sets one (4,096).
    pub const MAX_REQUESTS: u32 = 4096;

    /// Returns the maximum time that a connection may take to send the head of a request, including its first
    /// byte.
    pub const fn head_timeout(&self) -> Option<Duration> {
        self.head_timeout
    }

    /// Returns the maximum pause within the body of a request.
    pub const fn body_timeout(&self) -> Option<Duration> {
        self.body_timeout
    }

    /// Returns the maximum time during which a caller may fail to read its response.
    pub const fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    /// Returns the maximum time that requests in flight may take to end when the process stops.
    pub const fn shutdown_timeout(&self) -> Option<Duration> {
        self.shutdown_timeout
    }

    /// Returns the maximum time without a byte from either side of a WebSocket.
    pub const fn websocket_idle_timeout(&self) -> Option<Duration> {
        self.websocket_idle_timeout
    }

    /// Returns the maximum number of open connections.
    pub const fn max_connections(&self) -> Option<NonZeroU32> {
        self.max_connections
    }

    /// Returns the maximum number of requests in flight.
    pub const fn max_requests(&self) -> Option<NonZeroU32> {
        self.max_requests
    }

    /// Returns the maximum number of bytes of large requests that are kept in memory together. A request above 256 KiB
    /// that finds no room there is kept in a temporary file.
    pub const fn max_body_memory(&self) -> Option<u64> {
        self.max_body_memory
    }

    /// Returns the maximum number of bytes of requests that are kept in temporary files together.
    pub const fn max_body_disk(&self) -> Option<u64> {
        self.max_body_disk
    }

    /// Returns the host names by which callers reach the server, in lower case and without a port.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    pub(super) fn resolve(table: ServerTable) -> Result<Self, ConfigError> {
        let at = ValuePath::default().field("server");
        let time = |name, text: Option<String>| duration::optional(text, &at.field(name));
        Ok(Self {
            head_timeout: time("head_timeout", table.head_timeout)?,
            body_timeout: time("body_timeout", table.body_timeout)?,
            write_timeout: time("write_timeout", table.write_timeout)?,
            shutdown_timeout: time("shutdown_timeout", table.shutdown_timeout)?,
            websocket_idle_timeout: time("websocket_idle_timeout", table.websocket_idle_timeout)?,
            max_connections: table.max_connections,
            max_requests: table.max_requests,
            max_body_memory: table.max_body_memory,
            max_body_disk: table.max_body_disk,
            hosts: hosts(table.hosts.unwrap_or_default(), &at.field("hosts"))?,
        })
    }
}

fn hosts(names: Vec<String>, at: &ValuePath) -> Result<Vec<String>, ConfigError> {
    match names.iter().position(|name| !is_host(name)) {
        Some(wrong) => Err(Problem::Host.at(at.index(wrong))),
        None => Ok(names.into_iter().map(|name| name.to_ascii_lowercase()).collect()),
    }
}

/// Returns whether a name is a host name or an address without a port: the part of a `Host` header before the
/// port.
fn is_host(name: &str) -> bool {
    let authority = name.parse::<http::uri::Authority>();
    authority.is_ok_and(|authority| authority.host() == name && !name.contains('*'))
}
