//! The links of a chain, shared by all its requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Request, Response};
use tower::BoxError;
use tower::util::BoxCloneSyncService;

use crate::body::ReplayBody;
use crate::clock::LatencyEstimate;
use crate::event::{EventKind, EventSource, Events, Severity};
use crate::exchange::time_limits::TimeLimits;
use crate::fallback::breaker::{Breaker, BreakerPolicy};
use crate::fallback::route::Route;
use crate::fallback::settings::{Settings, Start};
use crate::provider::Provider;

/// A link after the first.
pub(super) type Boxed<B> = BoxCloneSyncService<Request<ReplayBody>, Response<B>, BoxError>;

/// The facts about a link, except its service.
pub(super) struct Link {
    pub(super) name: Arc<str>,
    pub(super) route: Route,
    pub(super) breaker: Breaker,
    /// Latency of its responses.
    pub(super) latency: LatencyEstimate,
    events: Events,
}

pub(super) struct Chain<B> {
    /// In the order of the chain.
    pub(super) links: Vec<Arc<Link>>,
    /// The services of all but the first.
    others: Vec<Boxed<B>>,
    pub(super) settings: Settings,
    /// The time limits of the settings: those for all models, followed by those for some.
    pub(super) times: Arc<[TimeLimits]>,
    /// The provider whose rules apply to links without rules of their own.
    pub(super) general: Provider,
    /// The next link to start with, in turn.
    cursor: AtomicUsize,
    /// Whether the latest request failed.
    pub(super) is_failing: AtomicBool,
}

impl Link {
    pub(super) fn new(name: Arc<str>, route: Route, breaker: BreakerPolicy, events: Events) -> Self {
        Self { name, route, breaker: Breaker::new(breaker), latency: LatencyEstimate::default(), events }
    }

    /// Emits an event about the link.
    pub(super) fn emit(&self, severity: Severity, kind: impl FnOnce() -> EventKind) {
        self.events.emit(severity, EventSource { name: &self.name, system: None }, kind);
    }
}

impl<B> Chain<B> {
    /// Emits an event about a link.
    pub(super) fn emit(&self, link: &Link, severity: Severity, kind: impl FnOnce() -> EventKind) {
        link.emit(severity, kind);
    }

    pub(super) fn new(links: Vec<Arc<Link>>, others: Vec<Boxed<B>>, settings: Settings) -> Self {
        let general = Provider::compatible("link");
        Self {
            links,
            others,
            times: settings.times(),
            settings,
            general,
            cursor: AtomicUsize::new(0),
            is_failing: AtomicBool::new(false),
        }
    }

    /// Returns the service of a link. `None` for the first.
    pub(super) fn other(&self, link: usize) -> Option<Boxed<B>> {
        self.others.get(link.checked_sub(1)?).cloned()
    }

    /// Returns the link that the next request is sent to first.
    pub(super) fn start(&self) -> usize {
        match self.settings.start {
            Start::Ordered => 0,
            Start::RoundRobin => self.cursor.fetch_add(1, Ordering::Relaxed) % self.links.len().max(1),
        }
    }
}

impl<B> fmt::Debug for Chain<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { links, others: _, settings, times: _, general: _, cursor: _, is_failing: _ } = self;
        f.debug_struct("Chain")
            .field("links", &links.iter().map(|link| &*link.name).collect::<Vec<_>>())
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}
