//! Redis servers of tests.

#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers belong to the tests")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time for what takes a reconnection.
pub(crate) const LATER: Duration = Duration::from_secs(15);

/// A Redis server of this test, which ends with it.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts a server. `None` if none is installed, unless services are required.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port, options).await
    }

    pub(crate) async fn start_at(port: u16, options: &[&str]) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("tkr-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(&directory)
            .args(options)
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            assert!(std::env::var_os("REQUIRE_SERVICES").is_none(), "redis-server is not installed");
            eprintln!("skipped: redis-server is not installed");
            return None;
        };
        let server = Self { child, port, directory };
        let is_up = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        until(LATER, async || is_up().await).await;
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(crate) async fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut connection).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < end, "not within {within:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
