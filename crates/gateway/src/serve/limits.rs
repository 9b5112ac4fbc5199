//! Limits on connections and requests.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::ServerSettings;

/// The limits of a server: the `[server]` table with its defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Maximum time to send the head of a request, including its first byte, and maximum idle time of a connection.
    pub(super) head: Duration,
    /// Maximum time during which a caller does not read its response.
    pub(super) write: Duration,
    /// Maximum time for requests in flight to end after a stop.
    pub(super) shutdown: Duration,
    /// Maximum number of open connections.
    pub(super) connections: u32,
    /// Maximum number of requests in flight.
    pub(super) requests: u32,
}

// === impl Limits ===

impl Limits {
    /// Default maximum of connections, if the process may open twice as many files (4,096).
    const CONNECTIONS: u32 = 4096;

    pub(super) fn new(server: &ServerSettings) -> Self {
        let or = |number: Option<NonZeroU32>, default| number.map_or(default, NonZeroU32::get);
        Self {
            head: server.head_timeout().unwrap_or(Duration::from_secs(30)),
            write: server.write_timeout().unwrap_or(Duration::from_secs(60)),
            shutdown: server.shutdown_timeout().unwrap_or(Duration::from_secs(30)),
            connections: or(server.max_connections(), half_of_files().min(Self::CONNECTIONS)),
            requests: or(server.max_requests(), ServerSettings::MAX_REQUESTS),
        }
    }
}

/// Returns half of the number of files that the process may open. The other half is for connections to providers.
fn half_of_files() -> u32 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.map_or(Limits::CONNECTIONS, |files: u32| (files / 2).max(1))
}
