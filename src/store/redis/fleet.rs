//! A simulation of many processes over one Redis, in one process and on a paused clock: the calls that are wasted on
//! keys which another process has seen fail, and the load on Redis.
//!
//! Everything but the network is the real thing: pools, registers, entries, and the rule by which Redis raises them.
//! Messages take 1 to 20 ms each way, and 2 % of the news are lost. `cargo test --release --all-features --lib fleet
//! -- --nocapture` prints the table of the guide about operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use crate::classify::{Fault, Reason, Scope};
use crate::key::ApiKey;
use crate::pool::KeyPool;
use crate::provider::Provider;
use crate::store::redis::wire::{Entry, entry, register};

const KEYS: usize = 1_000;
/// Requests of all processes together, per second.
const RATE: usize = 2_000;
/// Faults of the provider per second: one key is revoked, and this number less one is limited for [`LIMITED`].
const FAULTS: usize = 5;
const LIMITED: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(10);
/// Time between two looks of a process for its own changes, as in a session with Redis.
const EVERY: Duration = Duration::from_millis(50);
const SECONDS: usize = 10;
/// Numbers of processes. 100 take minutes without optimisation.
const PROCESSES: &[usize] = if cfg!(debug_assertions) { &[1, 10] } else { &[1, 10, 100] };

/// The keys that the provider refuses, and until when. `None` means for ever.
type Refused = BTreeMap<String, Option<Instant>>;

/// Redis, and the links to it.
#[derive(Default)]
struct Hub {
    hash: BTreeMap<String, String>,
    /// News under way: when they arrive, and at which process.
    news: Vec<(Instant, usize, Arc<Vec<Entry>>)>,
    commands: usize,
    bytes_in: usize,
    bytes_out: usize,
}

struct Outcome {
    wasted: usize,
    hub: Hub,
}

impl Hub {
    /// Raises the registers of a process, and publishes those that are news.
    fn tell(&mut self, changed: Vec<Entry>, to: usize, random: &mut fastrand::Rng) {
        if changed.is_empty() {
            return;
        }
        self.commands += 1;
        self.bytes_in += size(&changed);
        let raised = |(field, new): &Entry| self.hash.get(field).is_none_or(|old| new > old);
        let news: Vec<_> = changed.into_iter().filter(raised).collect();
        self.hash.extend(news.iter().cloned());
        let news = Arc::new(news);
        for process in 0..to {
            self.bytes_out += size(&news);
            if random.f64() >= 0.02 {
                let way = Duration::from_millis(random.u64(2..=40));
                self.news.push((Instant::now() + way, process, Arc::clone(&news)));
            }
        }
    }

    fn deliver(&mut self, pools: &[KeyPool]) {
        let now = Instant::now();
        for (_, process, news) in self.news.extract_if(.., |(at, ..)| *at <= now) {
            pools[process].merge_stored(news.iter().filter_map(register));
        }
    }
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|(field, value)| field.len() + value.len()).sum()
}

fn pool() -> KeyPool {
    let key = |n| ApiKey::new(format!("sk-{n:0>20}")).unwrap().id(format!("key-{n}"));
    KeyPool::builder(Provider::openai()).keys((0..KEYS).map(key)).build().unwrap()
}

/// Breaks keys of the provider: one for ever, the others for a while.
fn break_keys(refused: &mut Refused, random: &mut fastrand::Rng) {
    for fault in 0..FAULTS {
        let key = format!("key-{}", random.usize(..KEYS));
        let until = (fault > 0).then(|| Instant::now() + LIMITED);
        // A key that is revoked stays so.
        if refused.get(&key) != Some(&None) {
            refused.insert(key, until);
        }
    }
}

/// Sends one request, with another key after each refusal. Returns the number of refusals of keys that some process
/// has seen refused before.
fn send(pool: &KeyPool, refused: &Refused, seen: &mut BTreeSet<String>) -> usize {
    let mut wasted = 0;
    for _ in 0..5 {
        let Ok(lease) = pool.acquire(()) else { return wasted };
        let id = lease.key_id().as_str().to_owned();
        let until = refused.get(&id).filter(|until| until.is_none_or(|until| until > Instant::now()));
        let Some(until) = until else {
            seen.remove(&id);
            lease.succeed();
            return wasted;
        };
        wasted += usize::from(!seen.insert(id));
        let fault = match until {
            None => Fault::new(Reason::InvalidKey, Scope::Key),
            Some(until) => Fault::new(Reason::RateLimited, Scope::Key)
                .with_retry_after(until.saturating_duration_since(Instant::now())),
        };
        lease.fail(&fault, None);
    }
    wasted
}

async fn run(processes: usize, shares: bool) -> Outcome {
    let mut random = fastrand::Rng::with_seed(7);
    let pools: Vec<_> = (0..processes).map(|_| pool()).collect();
    let (mut refused, mut seen, mut hub, mut wasted) = (Refused::new(), BTreeSet::new(), Hub::default(), 0);
    // What every process says at its start is no cost of running.
    for pool in &pools {
        hub.hash.extend(pool.changed_registers().iter().filter_map(entry));
    }
    let ticks = SECONDS * 1_000 / 10;
    for tick in 0..ticks {
        if tick % 100 == 0 {
            break_keys(&mut refused, &mut random);
        }
        for _ in 0..RATE / 100 {
            wasted += send(&pools[random.usize(..processes)], &refused, &mut seen);
        }
        let looks = EVERY.as_millis() / TICK.as_millis();
        for pool in pools.iter().skip(tick % looks as usize).step_by(looks as usize).filter(|_| shares) {
            let changed = pool.changed_registers().iter().filter_map(entry).collect();
            hub.tell(changed, processes, &mut random);
        }
        hub.deliver(&pools);
        advance(TICK).await;
    }
    Outcome { wasted, hub }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_meets_each_fault_about_once() {
    println!("{KEYS} keys, {RATE} requests/s in all, {FAULTS} faults/s, {SECONDS} s");
    println!("processes  wasted alone  wasted shared  commands/s  KiB/s to Redis  KiB/s from Redis");
    for &processes in PROCESSES {
        let (alone, shared) = (run(processes, false).await.wasted, run(processes, true).await);
        let Hub { commands, bytes_in, bytes_out, .. } = shared.hub;
        let kib = |bytes: usize| bytes as f64 / SECONDS as f64 / 1_024.0;
        println!(
            "{processes:>9} {alone:>13} {:>14} {:>11} {:>15.1} {:>17.1}",
            shared.wasted,
            commands / SECONDS,
            kib(bytes_in),
            kib(bytes_out),
        );
        assert!(shared.wasted <= FAULTS * SECONDS, "{processes} processes waste {}", shared.wasted);
        assert!(processes == 1 || alone > shared.wasted, "sharing helps {processes} processes");
    }
}
