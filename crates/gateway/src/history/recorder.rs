//! The recorder: a task that listens to events and samples the pools.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tower_key_rotation::KeyPool;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::{Event, Events, Missed, Subscription};

use crate::history::breaker::{BreakerStatus, Breakers};
use crate::history::counts::Counts;
use crate::history::log::{Entry, HistoryLog, HistoryQuery};
use crate::history::statistics::{Statistics, Totals};
use crate::history::usage::{Spans, UsageReport};

/// Records history and statistics of pools, and of chains that share their event hub. Cheap to clone.
///
/// The recorder listens from [`start`](Self::start) on, and until its last clone is dropped.
///
/// ```
/// use tower_key_rotation::event::Events;
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
/// use tower_key_rotation_gateway::history::{HistoryQuery, Recorder};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let events = Events::new();
/// let key = ApiKey::new("sk-one")?.id("one");
/// let pool = KeyPool::builder(Provider::openai()).key(key).events(&events).build()?;
/// let recorder = Recorder::new([pool.clone()], &events);
/// recorder.start();
///
/// pool.disable(&"one".into())?;
/// tokio::time::sleep(std::time::Duration::from_secs(1)).await;
/// let history = recorder.history(&HistoryQuery::default());
/// assert_eq!((&history[0]["event"], &history[0]["key"]), (&"disabled".into(), &"one".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    pools: Mutex<Arc<[KeyPool]>>,
    events: Events,
    started: Timestamp,
    runs: AtomicBool,
    recorded: Mutex<Recorded>,
    /// Passes entries of the history on as they are added.
    live: broadcast::Sender<Entry>,
}

#[derive(Default)]
struct Recorded {
    log: HistoryLog,
    statistics: Statistics,
    breakers: Breakers,
    missed: u64,
}

/// Time for which events are collected after the first one, so that a busy gateway wakes the task 50 times a second.
const COLLECT: Duration = Duration::from_millis(20);

/// Interval of samples: a second, or 10 s for more than [`MANY_KEYS`].
const SAMPLE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
const MANY_KEYS: usize = 200;

/// Number of entries by which a reader of the live history may be behind.
const LIVE: usize = 256;

// === impl Recorder ===

impl Recorder {
    /// Maximum number of changes of state in the history, and of entries about requests: 1,000 each.
    pub const CHANGES: usize = HistoryLog::MAX;

    /// Maximum number of combinations of key and model with statistics: 1,000. Further ones are counted for their
    /// provider only.
    pub const SERIES: usize = Statistics::MAX_SERIES;

    /// Creates a recorder for these pools and the hub that they share. It records nothing before it is started.
    pub fn new(pools: impl IntoIterator<Item = KeyPool>, events: &Events) -> Self {
        Self(Arc::new(Inner {
            pools: Mutex::new(pools.into_iter().collect()),
            events: events.clone(),
            started: Timestamp::now(),
            runs: AtomicBool::new(false),
            recorded: Mutex::default(),
            live: broadcast::Sender::new(LIVE),
        }))
    }

    /// Starts the task that records, unless it runs already. Outside a tokio runtime the method does nothing.
    pub fn start(&self) {
        if self.0.runs.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.0.runs.swap(true, Ordering::Relaxed) {
            let events = self.0.events.subscribe();
            let _task = runtime.spawn(run(Arc::downgrade(&self.0), events));
        }
    }

    /// Returns the pools.
    pub fn pools(&self) -> Arc<[KeyPool]> {
        self.0.pools()
    }

    /// Replaces the pools. History and statistics go on.
    pub(crate) fn set_pools(&self, pools: Arc<[KeyPool]>) {
        *self.0.pools.lock().unwrap_or_else(PoisonError::into_inner) = pools;
    }

    /// Returns the time at which the recorder was created.
    pub fn started(&self) -> Timestamp {
        self.0.started
    }

    /// Returns a selection of the history as JSON objects, the latest first.
    pub fn history(&self, query: &HistoryQuery) -> Vec<Value> {
        self.0.recorded().log.find(query)
    }

    /// Returns the usage of all providers, keys and models.
    pub fn usage(&self) -> UsageReport {
        self.0.recorded().statistics.report(Timestamp::now())
    }

    /// Returns the usage of one provider; zeros if it was never used.
    pub fn usage_of(&self, provider: &str) -> Spans<Counts> {
        self.0.recorded().statistics.provider(provider, Timestamp::now())
    }

    /// Returns the state of a provider's circuit breaker; closed if it never opened.
    pub fn breaker(&self, provider: &str) -> BreakerStatus {
        self.0.recorded().breakers.of(provider)
    }

    /// Returns the numbers since the recorder was started.
    pub fn totals(&self) -> Totals {
        self.0.recorded().statistics.totals()
    }

    /// Returns the number of events that the recorder was too slow for.
    pub fn missed(&self) -> u64 {
        self.0.recorded().missed
    }

    /// Subscribes to entries of the history from now on.
    pub(crate) fn live(&self) -> broadcast::Receiver<Entry> {
        self.0.live.subscribe()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("pools", &self.pools()).finish_non_exhaustive()
    }
}

async fn run(recorder: Weak<Inner>, mut events: Subscription) {
    let Some(many) = recorder.upgrade().map(|recorder| recorder.has_many_keys()) else { return };
    let mut sampling = interval(SAMPLE[usize::from(many)]);
    sampling.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            event = events.next() => Some(event),
            _ = sampling.tick() => None,
        };
        let Some(recorder) = recorder.upgrade() else { return };
        match first {
            Some(Some(event)) => recorder.record(event, &mut events),
            Some(None) => return,
            None => recorder.sample(),
        }
        drop(recorder);
        sleep(COLLECT).await;
    }
}

// === impl Inner ===

impl Inner {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pools(&self) -> Arc<[KeyPool]> {
        Arc::clone(&self.pools.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has_many_keys(&self) -> bool {
        self.pools().iter().map(|pool| pool.snapshot().keys.len()).sum::<usize>() > MANY_KEYS
    }

    /// Records an event and those that have arrived after it.
    fn record(&self, first: Result<Event, Missed>, rest: &mut Subscription) {
        let mut recorded = self.recorded();
        let mut next = Some(Some(first));
        while let Some(Some(event)) = next {
            if let Some(entry) = recorded.add(event) {
                // An error means that no reader is there.
                let _readers = self.live.send(entry);
            }
            next = rest.next().now_or_never();
        }
    }

    fn sample(&self) {
        for pool in &*self.pools() {
            let snapshot = pool.snapshot();
            self.recorded().statistics.sample(&snapshot);
        }
    }
}

// === impl Recorded ===

impl Recorded {
    /// Adds an event. Returns its entry in the history, if it has one.
    fn add(&mut self, event: Result<Event, Missed>) -> Option<Entry> {
        match event {
            Ok(event) => {
                self.statistics.record(&event);
                self.breakers.record(&event);
                self.log.add(&event).cloned()
            }
            Err(missed) => {
                self.missed += missed.count();
                None
            }
        }
    }
}
