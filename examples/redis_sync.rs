//! Two processes share the state of their pools by Redis: `cargo run --example redis_sync`. Uses the server at
//! `REDIS_URL`, or starts a `redis-server` of its own.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;
use tower::BoxError;
use tower_key_rotation::store::RedisStore;
use tower_key_rotation::{ApiKey, KeyPool, Provider};

/// Time for what takes a moment.
const SOON: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if let [_, url] = &std::env::args().collect::<Vec<_>>()[..] {
        return other(url).await;
    }
    let (url, mut server) = match std::env::var("REDIS_URL") {
        Ok(url) => (url, None),
        Err(_) => match own_server()? {
            Some((url, server)) => (url, Some(server)),
            None => {
                println!("There is no redis-server: install it, or set REDIS_URL to the URL of one.");
                return Ok(());
            }
        },
    };
    let result = watch(&url).await;
    if let Some(server) = &mut server {
        server.kill()?;
        server.wait()?;
    }
    result
}

/// Lets another process put a key into a cooldown, and waits until this one knows.
async fn watch(url: &str) -> Result<(), BoxError> {
    let pool = pool()?;
    let store = RedisStore::new(url)?.prefix("example").pool(&pool);
    let status = store.status();
    tokio::spawn(store.run_forever());
    timeout(SOON, status.connected()).await.map_err(|_| "Redis does not answer")?;
    println!("this process: {} usable keys", pool.usable(None));

    let ended = Command::new(std::env::current_exe()?).arg(url).status()?;
    println!("the other process has ended: {ended}");
    let learned = async {
        while pool.usable(None) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, learned).await.map_err(|_| "no news from Redis")?;
    println!("this process: {} usable key", pool.usable(None));
    pool.reset_all();
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}

/// The other process: meets a limit, and ends.
async fn other(url: &str) -> Result<(), BoxError> {
    let pool = pool()?;
    let store = RedisStore::new(url)?.prefix("example").pool(&pool);
    let status = store.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sharing = tokio::spawn(store.run(async { drop(stopped.await) }));
    timeout(SOON, status.connected()).await.map_err(|_| "Redis does not answer")?;
    pool.cool_down(&"one".into(), None, Duration::from_secs(60))?;
    println!("the other process: key one is in a cooldown of one minute");
    drop(stop);
    sharing.await?;
    Ok(())
}

fn pool() -> Result<KeyPool, BoxError> {
    let keys = [ApiKey::new("sk-one")?.id("one"), ApiKey::new("sk-two")?.id("two")];
    Ok(KeyPool::builder(Provider::openai()).keys(keys).build()?)
}

/// Starts a server on a free port. `None` if there is no program of that name.
fn own_server() -> Result<Option<(String, Child)>, BoxError> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
    let options = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    match Command::new("redis-server").args(options).stdout(Stdio::null()).spawn() {
        Ok(server) => Ok(Some((format!("redis://127.0.0.1:{port}"), server))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
