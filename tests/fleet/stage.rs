//! Instances of a fleet over one Redis, and requests that go on all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_key_rotation::event::{EventKind, Events, Subscription};
use tower_key_rotation::pool::{KeyPoolBuilder, KeyState};
use tower_key_rotation::store::{RedisStatus, RedisStore};
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_sim::{SimKey, Simulator};

use crate::redis::LATER;
use crate::support::{at_sim, chat, rotating, secret, send};

/// Time within which other instances know of news.
pub(crate) const SOON: Duration = Duration::from_millis(250);

/// The keys of each instance.
pub(crate) const KEYS: [&str; 3] = ["a", "b", "c"];

/// One instance of a fleet.
pub(crate) struct Instance {
    pub(crate) pool: KeyPool,
    pub(crate) status: RedisStatus,
    /// The events of the store: its errors, and `None` for each recovery.
    news: mpsc::UnboundedReceiver<Option<String>>,
    tasks: [JoinHandle<()>; 2],
}

/// Requests of several instances, one after another, until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

// === impl Instance ===

impl Instance {
    pub(crate) fn of(store: RedisStore) -> Self {
        Self::with(store, Provider::openai())
    }

    pub(crate) fn at(url: &str) -> Self {
        Self::of(RedisStore::new(url).unwrap())
    }

    pub(crate) fn with(store: RedisStore, provider: Provider) -> Self {
        let keys = KEYS.map(|label| ApiKey::new(secret(label)).unwrap().id(label));
        Self::serving(store, KeyPool::builder(at_sim(provider)).keys(keys))
    }

    pub(crate) fn serving(store: RedisStore, builder: KeyPoolBuilder) -> Self {
        let events = Events::new();
        let pool = builder.events(&events).build().unwrap();
        let store = store.prefix("test").pool(&pool);
        let (status, (sender, news)) = (store.status(), mpsc::unbounded_channel());
        let tasks = [tokio::spawn(hear(events.subscribe(), sender)), tokio::spawn(store.run_forever())];
        Self { pool, status, news, tasks }
    }

    pub(crate) async fn connected(&self) {
        timeout(LATER, self.status.connected()).await.expect("connected");
    }

    pub(crate) fn state(&self, key: usize) -> KeyState {
        self.pool.snapshot().keys[key].state
    }

    /// Returns the next event of the store: its error, or `None` for the recovery.
    pub(crate) async fn news(&mut self) -> Option<String> {
        timeout(LATER, self.news.recv()).await.expect("news").unwrap()
    }

    /// Returns whether an event of the store has come that was not read.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }
}

/// Passes on the events of the store.
async fn hear(mut heard: Subscription, news: mpsc::UnboundedSender<Option<String>>) {
    while let Some(event) = heard.next().await {
        let news_of_store = match event.expect("no event is missed").kind {
            EventKind::StoreFailed { store: "redis", reason, .. } => Some(reason.to_string()),
            EventKind::StoreRecovered { store: "redis", .. } => None,
            _ => continue,
        };
        let _closed = news.send(news_of_store);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

pub(crate) async fn fleet(url: &str) -> [Instance; 3] {
    let fleet = [(); 3].map(|()| Instance::at(url));
    for instance in &fleet {
        instance.connected().await;
    }
    fleet
}

pub(crate) fn sim() -> Simulator {
    let keys = KEYS.map(|label| SimKey::new(label, secret(label)));
    Simulator::openai().keys(keys).build()
}

// === impl Load ===

impl Load {
    /// Lets each instance serve requests, some at a time. Each has to be served.
    pub(crate) fn start(fleet: &[Instance], sim: &Simulator) -> Self {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let services = fleet.iter().flat_map(|instance| [(); 3].map(|()| rotating(&instance.pool, sim)));
        let serve = |service| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    send(&service, chat("m")).await.expect("a key is usable");
                    served.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(2)).await;
                }
            })
        };
        let tasks = services.map(serve).collect();
        Self { stop, served, tasks }
    }

    /// Stops, and fails if a request has failed.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("every request is served");
        }
        assert!(self.served.load(Ordering::Relaxed) > 100, "{:?} requests", self.served);
    }
}

// === a slow network ===

/// Starts a proxy that delivers all bytes later by this time. Returns its port.
pub(crate) async fn slow(to: u16, delay: Duration) -> u16 {
    slow_for(to, move |_| delay).await
}

/// Starts a proxy that delivers some bytes later by this time. Returns its port.
pub(crate) async fn slow_for(to: u16, delay: impl Fn(&[u8]) -> Duration + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
            let ((up, down), (back, forth)) = (client.into_split(), server.into_split());
            tokio::spawn(pass(up, forth, delay.clone()));
            tokio::spawn(pass(back, down, delay.clone()));
        }
    });
    port
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: impl Fn(&[u8]) -> Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let writing = tokio::spawn(async move {
        while let Some((at, bytes)) = receiver.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let _closed = sender.send((Instant::now() + delay(&buffer[..length]), buffer[..length].to_vec()));
    }
    drop(sender);
    let _ended = writing.await;
}
