//! The server of a store: addresses that are tried in turn, sentinels that name it, and the node of a cluster that has
//! the state of a pool.

use std::io;
use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisError, RedisResult, ServerErrorKind,
};

/// Time for connecting, and for each response: one second. Redis responds in less than a millisecond.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of redirections in a row that are followed at once.
pub(super) const REDIRECTIONS: usize = 4;

/// The servers of a store.
#[derive(Clone)]
pub(super) struct Servers {
    first: ConnectionInfo,
    /// Other addresses, tried in turn when the one before does not work.
    others: Vec<ConnectionInfo>,
    /// The sentinels. With any, the host of `first` is the name of the master.
    sentinels: Vec<ConnectionInfo>,
    /// Number of failures so far.
    failures: usize,
    /// The node to which a cluster has redirected.
    node: Option<ConnectionInfo>,
}

// === impl Servers ===

impl Servers {
    /// Returns the server at a URL. `None` if it is no URL of Redis.
    pub(super) fn at(url: &str) -> Option<Self> {
        let first = info(url)?;
        Some(Self { first, others: Vec::new(), sentinels: Vec::new(), failures: 0, node: None })
    }

    /// Adds the address of a URL.
    pub(super) fn or_at(&mut self, url: &str) -> Option<()> {
        self.others.push(info(url)?);
        Some(())
    }

    /// Adds a sentinel.
    pub(super) fn sentinel(&mut self, url: &str) -> Option<()> {
        self.sentinels.push(info(url)?);
        Some(())
    }

    /// Returns a client of the server that is to be tried now.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        if let Some(node) = &self.node {
            return Client::open(node.clone());
        }
        if self.sentinels.is_empty() {
            let all = self.others.len() + 1;
            let turn = (self.failures % all).checked_sub(1);
            return Client::open(turn.map_or(&self.first, |other| &self.others[other]).clone());
        }
        let mut failed = None;
        for number in 0..self.sentinels.len() {
            let sentinel = &self.sentinels[(self.failures + number) % self.sentinels.len()];
            match self.master(sentinel).await {
                Ok(address) => return Client::open(self.first.clone().set_addr(address)),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(unknown_master))
    }

    /// Notes that the server failed. The next one is tried, or the sentinels are asked again.
    pub(super) const fn failed(&mut self) {
        self.failures = self.failures.wrapping_add(1);
    }

    /// Goes back to the addresses that were given.
    pub(super) fn forget_node(&mut self) {
        self.node = None;
    }

    /// Follows a redirection to the node of a cluster. Returns whether the error is one.
    pub(super) fn follow(&mut self, error: &RedisError) -> bool {
        let Some((address, _)) = error.redirect_node().filter(|_| is_moved(error)) else { return false };
        let Some((host, port)) = address.rsplit_once(':') else { return false };
        let Ok(port) = port.parse() else { return false };
        let present = self.node.as_ref().unwrap_or(&self.first);
        // A node that does not know its own name leaves it out.
        let host = if host.is_empty() { host_of(present.addr()) } else { host };
        let address = same_kind(present.addr(), host.to_owned(), port);
        self.node = Some(self.first.clone().set_addr(address));
        true
    }

    /// Asks a sentinel for the address of the master.
    async fn master(&self, sentinel: &ConnectionInfo) -> RedisResult<ConnectionAddr> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let client = Client::open(sentinel.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(host_of(self.first.addr()));
        let found: Option<(String, u16)> = ask.query_async(&mut connection).await?;
        let (host, port) = found.ok_or_else(unknown_master)?;
        Ok(same_kind(self.first.addr(), host, port))
    }
}

/// Returns whether an error says that another node of a cluster has the state.
pub(super) fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

fn info(url: &str) -> Option<ConnectionInfo> {
    let info = url.into_connection_info().ok()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_redis_settings(settings);
    // Some URLs are refused only here.
    Client::open(info.clone()).ok().map(|_| info)
}

fn host_of(address: &ConnectionAddr) -> &str {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => "",
    }
}

/// Returns another address with the same encryption.
fn same_kind(address: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match address {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}

fn unknown_master() -> RedisError {
    let text = "the sentinels know no master of this name: it is the host of the store's URL";
    io::Error::new(io::ErrorKind::NotFound, text).into()
}
