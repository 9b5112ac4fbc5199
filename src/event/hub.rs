//! The event hub, which passes events to log lines, metrics and subscribers.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;
use tracing::Level;
use tracing::level_filters::LevelFilter;

#[cfg(feature = "metrics")]
use crate::body::meter::Usage;
use crate::clock::Timestamp;
#[cfg(all(feature = "metrics", any(feature = "file-store", feature = "redis")))]
use crate::event::metrics::Stores;
#[cfg(feature = "metrics")]
use crate::event::metrics::{Metrics, Models};
use crate::event::{Event, EventKind, Subscription, log};
#[cfg(feature = "metrics")]
use crate::key::{AccountId, KeyId};
#[cfg(feature = "metrics")]
use crate::limits::LimitStatus;
#[cfg(feature = "metrics")]
use crate::provider::ModelId;

/// A hub that passes events to all its subscribers.
///
/// See the [module docs](super) for an example with a pool.
///
/// ```
/// use tower_key_rotation::event::Events;
///
/// let events = Events::new();
/// let subscription = events.subscribe();
/// assert_eq!(events.subscribers(), 1);
/// # drop(subscription);
/// ```
///
/// # Clone
///
/// Clones are handles to the same hub.
#[derive(Clone)]
pub struct Events(Arc<Hub>);

struct Hub {
    capacity: usize,
    /// Created for the first subscriber. Until then a hub takes only a few words of memory.
    sender: OnceLock<broadcast::Sender<Event>>,
    /// Number of subscriptions, which count themselves. The channel would take its lock to tell the number.
    subscribers: Arc<AtomicUsize>,
    /// The models that have labels. Kept without metrics too, in case they are enabled later.
    #[cfg(feature = "metrics")]
    models: Arc<Models>,
    /// Set when metrics are enabled.
    #[cfg(feature = "metrics")]
    metrics: OnceLock<Metrics>,
    /// The stores of the pools. Kept without metrics too, in case they are enabled later.
    #[cfg(all(feature = "metrics", any(feature = "file-store", feature = "redis")))]
    stores: Stores,
}

/// The sender of an event.
#[derive(Clone, Copy)]
pub(crate) struct EventSource<'a> {
    /// Name of the provider or of the link.
    pub(crate) name: &'a Arc<str>,
    /// Name of the provider's API in the semantic conventions. `None` for a link.
    pub(crate) system: Option<&'a str>,
}

/// The severity of an event, which decides the level of its log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// An action of one request: `debug`.
    Detail,
    /// A change of state: `info`.
    Change,
    /// An operator may have to act: `warn`.
    Alarm,
}

// === impl Events ===

impl Events {
    /// Default number of events that a subscriber may be behind before it misses some: 1,024.
    pub const CAPACITY: usize = 1024;

    /// Creates a hub with a capacity of [`CAPACITY`](Self::CAPACITY) events.
    pub fn new() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }

    /// Creates a hub whose subscribers may be this many events behind before they miss some.
    ///
    /// `events` is rounded up to a power of two, and clamped to 1 to 65,536. The memory, about 250 bytes per
    /// event, is allocated for the first subscriber.
    pub fn with_capacity(events: usize) -> Self {
        Self(Arc::new(Hub {
            capacity: events.clamp(1, 1 << 16),
            sender: OnceLock::new(),
            subscribers: Arc::default(),
            #[cfg(feature = "metrics")]
            models: Arc::default(),
            #[cfg(feature = "metrics")]
            metrics: OnceLock::new(),
            #[cfg(all(feature = "metrics", any(feature = "file-store", feature = "redis")))]
            stores: Stores::default(),
        }))
    }

    /// Enables metrics for all events of the hub, through any of its handles, from now on.
    ///
    /// See [`metrics`](crate::event::metrics) for their names. Install the recorder first, or it gets no
    /// descriptions. Metrics cost a request some look-ups at the recorder, and the reading of its body up to
    /// the place that names the model.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn with_metrics(self) -> Self {
        self.0.metrics.get_or_init(|| Metrics::described(&self.0.models));
        self
    }

    /// Adds models for which limits are declared. Their names may be used as labels.
    #[cfg(feature = "metrics")]
    pub(crate) fn declare_models(&self, models: impl IntoIterator<Item = ModelId>) {
        self.0.models.declare(models);
    }

    /// Counts the tokens that a response reports, if metrics are enabled. Output includes thinking.
    #[cfg(feature = "metrics")]
    pub(crate) fn count_tokens(&self, provider: &str, model: Option<&ModelId>, usage: &Usage) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.tokens(provider, model, usage);
        }
    }

    /// Measures how much of a key's limits is left, for all models or for one, if metrics are enabled.
    #[cfg(feature = "metrics")]
    pub(crate) fn measure_left<'a>(
        &self,
        provider: &Arc<str>,
        (key, account): (&KeyId, Option<&AccountId>),
        limits: impl Iterator<Item = (Option<&'a ModelId>, &'a LimitStatus)>,
    ) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.left(provider, key, account, limits);
        }
    }

    /// Sets the number of keys that a request for a model could use, if metrics are enabled.
    #[cfg(feature = "metrics")]
    pub(crate) fn measure_usable(&self, provider: &str, model: Option<&ModelId>, keys: usize) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.usable(provider, model, keys);
        }
    }

    /// Returns the records of the stores of the pools.
    #[cfg(all(feature = "metrics", any(feature = "file-store", feature = "redis")))]
    pub(crate) fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// Subscribes to all events from now on.
    pub fn subscribe(&self) -> Subscription {
        let sender = self.0.sender.get_or_init(|| broadcast::Sender::new(self.0.capacity));
        #[cfg(feature = "metrics")]
        let missed = if self.keeps_count() { crate::event::metrics::missed } else { |_| {} };
        #[cfg(not(feature = "metrics"))]
        let missed = |_| {};
        Subscription::new(sender.subscribe(), &self.0.subscribers, missed)
    }

    /// Returns the number of subscriptions.
    pub fn subscribers(&self) -> usize {
        self.0.subscribers.load(Ordering::Relaxed)
    }

    /// Emits an event if there is a listener. Otherwise the event is not even created. Never waits.
    pub(crate) fn emit(&self, severity: Severity, source: EventSource<'_>, kind: impl FnOnce() -> EventKind) {
        if self.listens(severity) {
            let EventSource { name, system } = source;
            self.say(
                Event { at: Timestamp::now(), provider: Arc::clone(name), kind: kind() },
                system,
                severity,
            );
        }
    }

    /// Returns whether there may be a listener for events of this severity.
    pub(crate) fn listens(&self, severity: Severity) -> bool {
        self.subscribers() > 0 || severity.level() <= LevelFilter::current() || self.keeps_count()
    }

    #[cfg(feature = "metrics")]
    fn keeps_count(&self) -> bool {
        self.0.metrics.get().is_some()
    }

    #[cfg(not(feature = "metrics"))]
    const fn keeps_count(&self) -> bool {
        false
    }

    fn say(&self, event: Event, system: Option<&str>, severity: Severity) {
        contained(|| log::write(&event, system, severity));
        #[cfg(feature = "metrics")]
        if let Some(metrics) = self.0.metrics.get() {
            contained(|| metrics.record(&event));
        }
        if let Some(sender) = self.0.sender.get().filter(|_| self.subscribers() > 0) {
            // An error means that the last subscriber has just gone.
            let _heard_by = sender.send(event);
        }
    }
}

/// Calls code of the process's own `tracing` subscriber or `metrics` recorder. If that panics, for instance
/// because its output is full, the event is lost and the request goes on. Events are also emitted while
/// values are dropped, where a panic during another panic would abort the process.
fn contained(listener: impl FnOnce()) {
    let _panicked = catch_unwind(AssertUnwindSafe(listener));
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hub { capacity, .. } = &*self.0;
        f.debug_struct("Events")
            .field("capacity", capacity)
            .field("subscribers", &self.subscribers())
            .field("keeps_count", &self.keeps_count())
            .finish_non_exhaustive()
    }
}

// === impl Severity ===

impl Severity {
    const fn level(self) -> Level {
        match self {
            Self::Detail => Level::DEBUG,
            Self::Change => Level::INFO,
            Self::Alarm => Level::WARN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Dimension;

    #[tokio::test]
    async fn a_quota_warning_is_flat_when_serialized() {
        let events = Events::new();
        let mut heard = events.subscribe();
        let name = Arc::from("openai");
        events.emit(Severity::Alarm, EventSource { name: &name, system: None }, || EventKind::QuotaWarning {
            key: Some("a".into()),
            account: None,
            model: Some("m".into()),
            dimension: Dimension::Tokens,
            window: None,
            used: 0.8,
            threshold: 0.75,
            remaining: Some(20),
            limit: Some(100),
            resets_at: Some(Timestamp::from_unix_ms(5)),
        });
        let event = heard.next().await.unwrap().unwrap();
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], "quota_warning");
        assert_eq!((json["provider"].as_str(), json["dimension"].as_str()), (Some("openai"), Some("tokens")));
        assert_eq!((json["remaining"].as_u64(), json["resets_at"].as_u64()), (Some(20), Some(5)));
    }

    #[test]
    fn an_event_fits_what_the_docs_say_of_memory() {
        let bytes = size_of::<Event>();
        println!("{bytes} bytes");
        assert!(bytes + 40 <= 250, "{bytes}");
    }
}
