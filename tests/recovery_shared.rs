//! After an outage of all keys, a caller whose requests fail with every key delays the recovery of no other caller.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::{ORIGIN, at_sim, chat, secret, send};
use tokio::time::{Instant, advance, sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::pool::{Backoff, Cooldowns};
use tower_key_rotation::{ApiKey, Deadline, Error, KeyPool, KeyRotationLayer, ModelId, Provider};

type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<ResponseBody<Full<Bytes>>>, Error>;
type Reply = (u16, &'static str);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const LABELS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The interval of probes after a quota or a missing permission in these tests, before jitter.
const COOLDOWN: Duration = MINUTE;

/// Refusals of every key.
const REFUSALS: [Reply; 6] = [
    (401, ""),
    (401, r#"{"error":{"message":"Incorrect API key provided: sk-x.","code":"invalid_api_key"}}"#),
    (402, ""),
    (403, ""),
    (403, r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#),
    (429, r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#),
];

/// Paths that fail with every key. The last two are one endpoint.
const HOSTILE: [&str; 4] = ["embeddings", "images/generations", "x/1", "x/2"];

/// A provider that refuses every key while `is_out`, and the hostile paths always.
#[derive(Clone)]
struct Upstream {
    refusal: Reply,
    hostile: Reply,
    is_out: Arc<AtomicBool>,
    delay: Duration,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    fn new(refusal: Reply) -> Self {
        let (is_out, delay) = (Arc::new(AtomicBool::new(false)), Duration::ZERO);
        Self { refusal, hostile: refusal, is_out, delay, calls: Arc::default() }
    }

    /// Returns the response to a call.
    fn reply(&self, path: &str) -> Reply {
        match path.contains("chat") {
            true if self.is_out.load(Ordering::Relaxed) => self.refusal,
            true => (200, "{}"),
            false => self.hostile,
        }
    }

    fn client(&self, layer: KeyRotationLayer) -> Client {
        let this = self.clone();
        BoxCloneSyncService::new(layer.layer(service_fn(move |request: Request<ReplayBody>| {
            let this = this.clone();
            async move {
                this.calls.lock().unwrap().push(request.uri().path().to_owned());
                if !this.delay.is_zero() {
                    sleep(this.delay).await;
                }
                let (status, body) = this.reply(request.uri().path());
                let response = Response::builder().status(status).header("content-type", "application/json");
                Ok::<_, BoxError>(response.body(Full::from(body)).unwrap())
            }
        })))
    }

    fn set_out(&self, is_out: bool) {
        self.is_out.store(is_out, Ordering::Relaxed);
    }

    /// Returns the number of calls since the last time.
    fn calls(&self) -> usize {
        std::mem::take(&mut *self.calls.lock().unwrap()).len()
    }
}

fn pool(keys: usize) -> KeyPool {
    pool_with(keys, Backoff::new(COOLDOWN, COOLDOWN))
}

fn pool_with(keys: usize, backoff: Backoff) -> KeyPool {
    let keys = LABELS[..keys].iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
    let cooldowns = Cooldowns::default().quota(backoff).forbidden(backoff);
    KeyPool::builder(at_sim(Provider::openai())).keys(keys).cooldowns(cooldowns).build().unwrap()
}

fn hostile(path: &str) -> Request<Full<Bytes>> {
    Request::post(format!("{ORIGIN}/v1/{path}")).body(Full::from(r#"{"model":"m"}"#)).unwrap()
}

async fn is_served(client: &Client, request: Request<Full<Bytes>>) -> bool {
    send(client, request).await.is_ok_and(|response| response.status() == 200)
}

/// Callers of one pool: one that sends requests to paths that fail, and is always first, and one that sends a good request
/// every second.
struct Callers {
    client: Client,
    /// Number of hostile requests each second.
    rate: u32,
    paths: &'static [&'static str],
    next: usize,
}

impl Callers {
    fn new(client: Client, rate: u32, paths: &'static [&'static str]) -> Self {
        Self { client, rate, paths, next: 0 }
    }

    /// Sends the requests of one second. Returns whether the good one was served.
    async fn second(&mut self) -> bool {
        let mut served = false;
        for turn in 0..self.rate.max(1) {
            if self.rate > 0 {
                let path = self.paths[self.next % self.paths.len()];
                self.next += 1;
                assert!(!is_served(&self.client, hostile(path)).await);
            }
            if turn == 0 {
                served = is_served(&self.client, chat("m")).await;
            }
            advance(SECOND / self.rate.max(1)).await;
        }
        served
    }

    async fn seconds(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.second().await;
        }
    }

    /// Returns the number of seconds until the good caller is served, up to a quarter of an hour.
    async fn until_served(&mut self) -> u32 {
        for second in 0..900 {
            if self.second().await {
                return second;
            }
        }
        900
    }
}

/// Upper bound of the interval of probes, in seconds: cooldowns have up to a quarter of jitter.
fn interval((status, _): Reply) -> u32 {
    if status == 401 { 60 } else { 75 }
}

/// Returns the callers of a pool whose keys were all out for three minutes, and are good from now on.
async fn after_an_outage(pool: &KeyPool, upstream: &Upstream, rate: u32, paths: usize) -> Callers {
    let client = upstream.client(KeyRotationLayer::new(pool.clone()));
    let mut callers = Callers::new(client, rate, &HOSTILE[..paths]);
    callers.seconds(5).await;
    upstream.set_out(true);
    callers.seconds(140).await;
    upstream.calls();
    callers.seconds(60).await;
    upstream.set_out(false);
    callers
}

/// Sends a request in the background.
fn spawn(client: &Client, request: Request<Full<Bytes>>) {
    let client = client.clone();
    tokio::spawn(async move { is_served(&client, request).await });
}

fn usable(pool: &KeyPool) -> usize {
    pool.usable(Some(&ModelId::from("m")))
}

#[tokio::test(start_paused = true)]
async fn a_caller_refused_with_every_key_delays_no_recovery() {
    for refusal in REFUSALS {
        for keys in [1, 2, 6] {
            for (rate, paths) in [(0, 0), (1, 1), (10, 4)] {
                recovers_in_time(refusal, keys, rate, paths).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_refused_requests_delay_no_recovery() {
    for (refusal, paths) in [(REFUSALS[0], 4), (REFUSALS[2], 1)] {
        for keys in [1, 2, 6] {
            recovers_in_time(refusal, keys, 50, paths).await;
        }
    }
}

/// Asserts that the good caller is served within one interval, and that all keys are back after another one.
async fn recovers_in_time(refusal: Reply, keys: usize, rate: u32, paths: usize) {
    let why = format!("{refusal:?}, {keys} keys, {rate} requests a second to {paths} paths");
    let (pool, upstream) = (pool(keys), Upstream::new(refusal));
    let mut callers = after_an_outage(&pool, &upstream, rate, paths).await;
    // Up to three hostile endpoints and the good one. Cooldowns of single keys have schedules of their own.
    let (most, calls) = (if refusal.0 == 401 { 4 } else { 8 * keys }, upstream.calls());
    assert!(calls <= most, "{why}: {calls} calls in a minute of the outage");
    let late = callers.until_served().await;
    assert!(late <= interval(refusal), "{why}: served after {late} s");
    for _ in 0..interval(refusal) {
        assert!(callers.second().await, "{why}");
    }
    assert_eq!(usable(&pool), keys, "{why}: every key is back");
}

/// The interval of probes without other settings is an hour after a quota and a missing permission.
#[tokio::test(start_paused = true)]
async fn long_cooldowns_end_as_without_the_hostile_caller() {
    for refusal in [(402, ""), (403, "")] {
        for paths in [1, 4] {
            let pool = pool_with(2, Cooldowns::QUOTA);
            let upstream = Upstream::new(refusal);
            let mut callers = after_an_outage(&pool, &upstream, 1, paths).await;
            let mut seconds = 0;
            while !callers.second().await {
                seconds += 1;
                assert!(seconds < 75 * 60, "{refusal:?}");
            }
            callers.seconds(20 * 60).await;
            assert_eq!(usable(&pool), 2, "{refusal:?}: no failed probe has lengthened the other cooldown");
        }
    }
}

/// A response that is no refusal frees no key, and a probe with it must not keep the other endpoints out either.
#[tokio::test(start_paused = true)]
async fn no_response_of_another_path_uses_up_the_probe() {
    for hostile in [(400, "{}"), (404, ""), (503, ""), (529, "")] {
        for keys in [1, 6] {
            let (pool, mut upstream) = (pool(keys), Upstream::new(REFUSALS[0]));
            upstream.hostile = hostile;
            let mut callers = after_an_outage(&pool, &upstream, 50, 1).await;
            let calls = upstream.calls();
            assert!(calls <= 4, "{hostile:?}, {keys} keys: {calls} calls in a minute of the outage");
            let late = callers.until_served().await;
            assert!(late <= 60, "{hostile:?}, {keys} keys: served after {late} s");
        }
    }
}

/// A key has one probe in flight, so the good caller also waits for the responses to those of the hostile endpoints.
#[tokio::test(start_paused = true)]
async fn slow_refusals_delay_the_recovery_by_their_own_time() {
    const DELAY: u32 = 2;
    for keys in [1, 6] {
        let (pool, mut upstream) = (pool(keys), Upstream::new(REFUSALS[0]));
        upstream.delay = DELAY * SECOND;
        let client = upstream.client(KeyRotationLayer::new(pool.clone()));
        let good = {
            let client = client.clone();
            tokio::spawn(async move {
                // The requests that were sent before the outage ended are over.
                sleep(250 * SECOND + 16 * DELAY * SECOND).await;
                let began = Instant::now();
                while !is_served(&client, chat("m")).await {
                    sleep(SECOND).await;
                }
                Instant::now() - began
            })
        };
        for tenth in 0..3_600 {
            upstream.set_out((100..2_500).contains(&tenth));
            let path = HOSTILE[tenth % HOSTILE.len()];
            spawn(&client, hostile(path));
            if tenth % 10 == 0 && tenth < 2_500 {
                spawn(&client, chat("m"));
            }
            sleep(SECOND / 10).await;
        }
        let bound = MINUTE + 5 * DELAY * SECOND;
        let late = timeout(SECOND, good).await.expect("it is served").unwrap();
        assert!(late <= bound, "{keys} keys: {late:?}");
    }
}

/// A request that waits for a key makes its endpoint's own try as soon as the probe of another endpoint has failed.
#[tokio::test(start_paused = true)]
async fn a_waiter_is_served_after_the_probe_of_another_endpoint() {
    let (pool, upstream) = (pool(1), Upstream::new((402, "")));
    let callers = after_an_outage(&pool, &upstream, 50, 1).await;
    let waiting = upstream.client(KeyRotationLayer::new(pool.clone()).wait_for_key(true));
    let (began, mut request) = (Instant::now(), chat("m"));
    request.extensions_mut().insert(Deadline::at(began + 10 * MINUTE));
    // The only good request, and it waits.
    let mut waiter = tokio_test::task::spawn(send(&waiting, request));
    let mut polls = 0;
    let response = loop {
        assert!(!is_served(&callers.client, hostile(callers.paths[0])).await);
        if waiter.is_woken() || polls == 0 {
            polls += 1;
            if let Poll::Ready(response) = waiter.poll() {
                break response;
            }
        }
        advance(SECOND / 50).await;
        let waited = Instant::now() - began;
        assert!(waited < 76 * SECOND, "{waited:?}");
    };
    assert_eq!(response.unwrap().status(), 200);
    assert!(polls < 20, "{polls} polls: it spins");
}
