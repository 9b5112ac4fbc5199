//! Sentinels and clusters of tests.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::redis::{LATER, Server, until};

/// A Sentinel, which ends with the test.
pub(crate) struct Sentinel {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Sentinel {
    pub(crate) fn start(master: u16) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = std::env::temp_dir().join(format!("tkr-sentinel-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("sentinel.conf");
        let text = format!(
            "port {port}\ndir {}\nsentinel monitor mymaster 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds mymaster 300\nsentinel failover-timeout mymaster 1000\n",
            directory.display()
        );
        std::fs::write(&file, text).unwrap();
        let child = Command::new("redis-server").arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn();
        Self { child: child.unwrap(), port, directory }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns what a server says to a command, as text; empty if it is not there.
pub(crate) async fn said(url: &str, words: &[&str]) -> String {
    let Ok(client) = redis_client::Client::open(url) else { return String::new() };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return String::new() };
    let mut command = redis_client::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(word);
    });
    let said: redis_client::RedisResult<redis_client::Value> = command.query_async(&mut connection).await;
    said.map_or_else(|_| String::new(), |said| format!("{said:?}"))
}

/// Starts a cluster of three nodes.
pub(crate) async fn cluster() -> Option<[Server; 3]> {
    let options = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "500",
        "--cluster-require-full-coverage",
        "no",
    ];
    let nodes =
        [Server::start(&options).await?, Server::start(&options).await?, Server::start(&options).await?];
    for (number, (node, (from, to))) in
        nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]).enumerate()
    {
        node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
        node.command(&["CLUSTER", "ADDSLOTSRANGE", from, to]).await;
        node.command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()]).await;
    }
    for node in &nodes {
        let is_whole = async || {
            let info = said(&node.url(), &["CLUSTER", "INFO"]).await;
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        until(LATER, is_whole).await;
    }
    Some(nodes)
}
