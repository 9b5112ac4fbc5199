//! Limits of connections and requests.

use std::num::NonZeroU32;
use std::time::Duration;

use tower_key_rotation::config::ServerSettings;

/// How much callers may take of the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a connection may take to send a head, its first byte included, and how long it may be idle.
    pub(crate) head: Duration,
    /// How long a caller may not read its response.
    pub(crate) write: Duration,
    /// How long requests may go on after the gateway was told to stop.
    pub(crate) shutdown: Duration,
    pub(crate) connections: u32,
    /// Requests in flight.
    pub(crate) requests: u32,
}

/// How long the body of a request may pause, unless the file says otherwise: 30 s.
pub(super) const BODY: Duration = Duration::from_secs(30);

// === impl Limits ===

impl Limits {
    /// Upper bound on connections where the process may open as many files.
    const CONNECTIONS: u32 = 4096;
    /// Upper bound on requests in flight.
    const REQUESTS: u32 = 4096;

    pub(crate) fn new(server: &ServerSettings) -> Self {
        let or = |number: Option<NonZeroU32>, default| number.map_or(default, NonZeroU32::get);
        Self {
            head: server.head_timeout().unwrap_or(Duration::from_secs(30)),
            write: server.write_timeout().unwrap_or(Duration::from_secs(60)),
            shutdown: server.shutdown_timeout().unwrap_or(Duration::from_secs(30)),
            connections: or(server.max_connections(), half_of_files().min(Self::CONNECTIONS)),
            requests: or(server.max_requests(), Self::REQUESTS),
        }
    }
}

/// Half of the files that the process may open: the other half is for connections to providers.
fn half_of_files() -> u32 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.map_or(Limits::CONNECTIONS, |files: u32| (files / 2).max(1))
}
