//! The task that listens to events and passes alerts to the webhooks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tower::{BoxError, Service};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::{Event, Events, Subscription};

use crate::alert::delivery::{DeliveryError, QUEUE, Target};
use crate::alert::detector::Detector;
use crate::alert::https;
use crate::alert::incident::Alert;
use crate::alert::webhook::Webhook;

/// Alerts of an event hub, for any number of webhooks. See the [module docs](crate::alert).
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::{Empty, Full};
/// use tower::service_fn;
/// use tower_key_rotation::event::Events;
/// use tower_key_rotation_gateway::alert::{Alerts, Webhook};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), http::uri::InvalidUri> {
/// // Any client for `http` types, such as hyper-util's.
/// let client = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
/// let events = Events::new();
/// let alerts = Alerts::new().webhook(Webhook::new("pager", "https://alerts.test/".parse()?), client);
/// alerts.start(&events); // `events` is the hub of the pools and of their chain
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "start them"]
pub struct Alerts {
    targets: Vec<Target>,
    runs: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
}

/// Time for which events are collected after the first one, so that a busy gateway wakes the task 50 times a second.
const COLLECT: Duration = Duration::from_millis(20);

/// Interval at which incidents that depend on time are looked at (1 s).
const TICK: Duration = Duration::from_secs(1);

/// A webhook's open incidents, and its queue.
struct Watcher {
    name: String,
    detector: Detector,
    queue: mpsc::Sender<Alert>,
}

// === impl Alerts ===

impl Alerts {
    /// Creates alerts without a webhook.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates alerts for webhooks, such as [those of a configuration](crate::config::Config::alerts), with an HTTP
    /// client that follows no redirect.
    pub fn over_https(webhooks: impl IntoIterator<Item = Webhook>) -> Self {
        let client = https::client();
        webhooks.into_iter().fold(Self::new(), |alerts, webhook| alerts.webhook(webhook, client.clone()))
    }

    /// Adds a webhook and the client for it. Give a client without redirects: a webhook's URL is a credential.
    pub fn webhook<S, B>(mut self, webhook: Webhook, client: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body + 'static,
    {
        self.targets.push(Target::new(webhook, client));
        self
    }

    /// Starts the tasks, unless they run already. Outside a tokio runtime, or without a webhook, the method does
    /// nothing. The tasks end with the hub.
    pub fn start(&self, events: &Events) {
        if self.targets.is_empty() || self.runs.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.runs.swap(true, Ordering::Relaxed) {
            return;
        }
        let watcher = |target: &Target| {
            let (queue, alerts) = mpsc::channel(QUEUE);
            let _task = runtime.spawn(target.clone().run(alerts));
            let (name, detector) = (target.webhook.name.clone(), Detector::new(target.webhook.rules));
            Watcher { name, detector, queue }
        };
        let watchers = self.targets.iter().map(watcher).collect();
        let _task = runtime.spawn(watch(watchers, events.subscribe(), Arc::clone(&self.stopped)));
    }

    /// Ends the tasks within a second, when the alerts so far have been sent.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Sends a test alert to each webhook, once. Returns the names of the webhooks with the results.
    pub async fn test(&self) -> Vec<(String, Result<(), DeliveryError>)> {
        let mut results = Vec::new();
        for target in &self.targets {
            results.push((target.webhook.name.clone(), target.send_once(&Alert::test()).await));
        }
        results
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.targets.iter().map(|target| &target.webhook)).finish()
    }
}

async fn watch(mut watchers: Vec<Watcher>, mut events: Subscription, stopped: Arc<AtomicBool>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            event = events.next() => Some(event),
            _ = ticks.tick() => None,
        };
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        match first {
            None => watchers.iter_mut().for_each(Watcher::tick),
            Some(None) => return,
            Some(event) => {
                let mut next = event;
                while let Some(event) = next {
                    match event {
                        Ok(event) => watchers.iter_mut().for_each(|watcher| watcher.see(&event)),
                        Err(missed) => {
                            tracing::warn!(target: "gateway", missed = missed.count(), "alerts may be missing");
                        }
                    }
                    next = events.next().now_or_never().flatten();
                }
                sleep(COLLECT).await;
            }
        }
    }
}

// === impl Watcher ===

impl Watcher {
    fn see(&mut self, event: &Event) {
        let alerts = self.detector.see(event);
        self.pass(alerts);
    }

    fn tick(&mut self) {
        let alerts = self.detector.tick(Timestamp::now());
        self.pass(alerts);
    }

    fn pass(&self, alerts: Vec<Alert>) {
        for alert in alerts {
            if self.queue.try_send(alert).is_err() {
                tracing::warn!(target: "gateway", webhook = self.name, "too many alerts wait: one is dropped");
            }
        }
    }
}
