//! Where events go through.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;
use tracing::Level;
use tracing::level_filters::LevelFilter;

#[cfg(feature = "metrics")]
use super::metrics::{Metrics, Models};
use super::{Event, Kind, Subscription, log};
#[cfg(feature = "metrics")]
use crate::body::meter::Usage;
use crate::clock::Timestamp;
#[cfg(feature = "metrics")]
use crate::key::{AccountId, KeyId};
#[cfg(feature = "metrics")]
use crate::limits::Reading;
#[cfg(feature = "metrics")]
use crate::provider::ModelId;

/// A hub: what is said to it is heard by all who subscribe to it.
///
/// # Clone
///
/// Clones are handles to the same hub.
#[derive(Clone)]
pub struct Events(Arc<Hub>);

struct Hub {
    capacity: usize,
    /// Made for the first subscriber: until then a hub is a few words.
    sender: OnceLock<broadcast::Sender<Event>>,
    /// How many subscriptions there are; those count themselves. Asking the channel would take its lock.
    subscribers: Arc<AtomicUsize>,
    /// Those that have labels, for when it is told to keep count.
    #[cfg(feature = "metrics")]
    models: Arc<Models>,
    /// Once it is told to keep count.
    #[cfg(feature = "metrics")]
    metrics: OnceLock<Metrics>,
}

/// Who says something.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The provider or the link.
    pub(crate) name: &'a Arc<str>,
    /// What the semantic conventions call its API.
    pub(crate) system: Option<&'a str>,
}

/// Who should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// What one request did: `debug`.
    Detail,
    /// The state of something has changed: `info`.
    Change,
    /// A person may have to act: `warn`.
    Alarm,
}

// === impl Events ===

impl Events {
    /// As many events a subscriber may be behind: 1,024.
    pub const CAPACITY: usize = 1024;

    /// A hub of its own.
    pub fn new() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }

    /// A hub whose subscribers may be this many events behind, rounded up to a power of two, before they miss
    /// any: from 1 to 65,536. The memory for them, about 250 bytes each, is taken when the first subscribes.
    pub fn with_capacity(events: usize) -> Self {
        Self(Arc::new(Hub {
            capacity: events.clamp(1, 1 << 16),
            sender: OnceLock::new(),
            subscribers: Arc::default(),
            #[cfg(feature = "metrics")]
            models: Arc::default(),
            #[cfg(feature = "metrics")]
            metrics: OnceLock::new(),
        }))
    }

    /// Counts and measures what is said to the hub, all its handles included, from now on: see
    /// [`metrics`](super::metrics) for what comes of it. Install the recorder before, for it to get descriptions.
    ///
    /// Costs a request some look-ups at the recorder, and reading its body up to where that names the model.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn with_metrics(self) -> Self {
        self.0.metrics.get_or_init(|| Metrics::described(&self.0.models));
        self
    }

    /// Limits are declared for these models, which have labels therefore.
    #[cfg(feature = "metrics")]
    pub(crate) fn declare_models(&self, models: impl IntoIterator<Item = ModelId>) {
        self.0.models.declare(models);
    }

    /// Counts the tokens that an answer says it took, if the hub keeps count: those of the answer include what the
    /// model thought.
    #[cfg(feature = "metrics")]
    pub(crate) fn count_tokens(&self, provider: &str, model: Option<&ModelId>, usage: &Usage) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.tokens(provider, model, usage);
        }
    }

    /// Measures what is left of a key's limits, for all models or for one, if the hub keeps count.
    #[cfg(feature = "metrics")]
    pub(crate) fn measure_left<'a>(
        &self,
        provider: &Arc<str>,
        (key, account): (&KeyId, Option<&AccountId>),
        limits: impl Iterator<Item = (Option<&'a ModelId>, &'a Reading)>,
    ) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.left(provider, key, account, limits);
        }
    }

    /// What is said from now on.
    pub fn subscribe(&self) -> Subscription {
        let sender = self.0.sender.get_or_init(|| broadcast::Sender::new(self.0.capacity));
        #[cfg(feature = "metrics")]
        let missed = if self.keeps_count() { super::metrics::missed } else { |_| {} };
        #[cfg(not(feature = "metrics"))]
        let missed = |_| {};
        Subscription::new(sender.subscribe(), &self.0.subscribers, missed)
    }

    /// How many subscriptions there are.
    pub fn subscribers(&self) -> usize {
        self.0.subscribers.load(Ordering::Relaxed)
    }

    /// Says something, if anybody listens; else it is not even put together. Never waits.
    pub(crate) fn emit(&self, severity: Severity, source: Source<'_>, kind: impl FnOnce() -> Kind) {
        if self.listens(severity) {
            let Source { name, system } = source;
            self.say(
                Event { at: Timestamp::now(), provider: Arc::clone(name), kind: kind() },
                system,
                severity,
            );
        }
    }

    /// Whether anybody may hear what is as severe as this.
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
            // That the last subscriber has just gone is no error.
            let _heard_by = sender.send(event);
        }
    }
}

/// Calls code of the process's own `tracing` subscriber or `metrics` recorder. If that panics, for instance because
/// its output is full, the event is lost and the request goes on. Events are also emitted while values are dropped,
/// where a panic during another panic would abort the process.
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
        events.emit(Severity::Alarm, Source { name: &name, system: None }, || Kind::QuotaWarning {
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
