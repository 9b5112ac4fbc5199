//! The layer and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};
use tower_layer::Layer;

use crate::body::ReplayBody;
use crate::event::Events;
use crate::exchange::retry::{RetryBudget, RetryDelay};
use crate::fallback::breaker::BreakerPolicy;
use crate::fallback::commit::Commit;
use crate::fallback::link::{Boxed, Chain, Link};
use crate::fallback::route::Route;
use crate::fallback::service::ProviderFallback;
use crate::fallback::settings::{ContextLength, Settings, Start};

/// Puts providers behind one service; see the [module docs](super) for what it does and an example.
///
/// `B` is the type of the response bodies of all links. Cloning the service shares breakers and budgets.
pub struct ProviderFallbackLayer<B> {
    links: Vec<(Arc<str>, Route)>,
    others: Vec<Boxed<B>>,
    settings: Settings,
}

// === impl ProviderFallbackLayer ===

/// Defaults. They do not depend on the type of the response bodies, and stand at the unit type so that
/// `ProviderFallbackLayer::MAX_ATTEMPTS` needs no type to be named.
impl ProviderFallbackLayer<()> {
    /// Maximum number of attempts of one request over the whole chain (16).
    pub const MAX_ATTEMPTS: usize = Settings::MAX_ATTEMPTS;
    /// Maximum number of bytes of a response that are held back until it is complete (8 MiB). A longer one is
    /// committed to.
    pub const COMPLETE_CAP: usize = Settings::COMPLETE_CAP;
    /// Shortest and longest delay before a retry (100 ms and 500 ms). The delay is random in between.
    pub const BACKOFF: (Duration, Duration) = RetryDelay::DEFAULT.bounds();
}

impl<B> ProviderFallbackLayer<B> {
    /// A chain whose first link, the wrapped service, has this name.
    pub fn new(first: impl Into<Arc<str>>) -> Self {
        Self { links: vec![(first.into(), Route::new())], others: Vec::new(), settings: Settings::default() }
    }

    /// Where the requests of the first link go. Default: nowhere else than the caller says.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.links[0].1 = route;
        self
    }

    /// Adds a link: any service over requests with a [`ReplayBody`] and the same response body.
    #[must_use]
    pub fn fallback<T>(mut self, name: impl Into<Arc<str>>, service: T, route: Route) -> Self
    where
        T: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        T::Error: Into<BoxError>,
        T::Future: Send + 'static,
    {
        self.links.push((name.into(), route));
        self.others.push(BoxCloneSyncService::new(service.map_err(Into::into)));
        self
    }

    /// Which link a request is given to first. Default: [`Start::Ordered`].
    #[must_use]
    pub const fn start(mut self, start: Start) -> Self {
        self.settings.start = start;
        self
    }

    /// How long a request may take until its answer is committed to, and until the end of an error response. A
    /// request's own [`Deadline`](crate::Deadline) holds if it is earlier. Default: none.
    #[must_use]
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.settings.deadline = Some(limit);
        self
    }

    /// How long the head of an answer may take, for each attempt. Default: none; reasoning models are silent
    /// for minutes.
    #[must_use]
    pub const fn head_timeout(mut self, limit: Duration) -> Self {
        self.settings.head_timeout = Some(limit);
        self
    }

    /// How long after its head the first content of a stream may take, whatever else the stream sends before it;
    /// one that sends more than 8 MiB of that is left earlier. Default: none; a stream is committed to after ten
    /// seconds, 64 KiB or 200 events without content.
    #[must_use]
    pub const fn first_content_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.peek_time = limit;
        self.settings.limits.late_is_fault = true;
        self
    }

    /// How long a stream may pause once it is committed to. Comments, pings and events without content end a pause,
    /// but a stream of which nothing else comes ends after ten to eleven times the limit. Default: none.
    #[must_use]
    pub const fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// When an answer belongs to the caller. Default: [`Commit::FirstContent`]. A request may have a [`Commit`]
    /// of its own in its extensions.
    #[must_use]
    pub const fn commit(mut self, commit: Commit) -> Self {
        self.settings.commit = commit;
        self
    }

    /// How much of a response is held back before the [`Commit`], in bytes; a longer one is committed to.
    /// Default: [`COMPLETE_CAP`](ProviderFallbackLayer::COMPLETE_CAP).
    #[must_use]
    pub const fn complete_cap(mut self, bytes: usize) -> Self {
        self.settings.complete_cap = bytes;
        self
    }

    /// What to do when a request is too long for a provider's model. Default: [`ContextLength::Deliver`].
    #[must_use]
    pub const fn context_length(mut self, then: ContextLength) -> Self {
        self.settings.context_length = then;
        self
    }

    /// Whether the chain moves on to the next provider when one may have run the request, and may bill it: its
    /// response is late, broken or cut before the commit. `false` ends the request with an error then, unless it
    /// has a safe method or an `Idempotency-Key`. [Paid once](crate::rotate::paid_once) lists each fault.
    /// Default: yes.
    #[must_use]
    pub const fn resend_ambiguous(mut self, resend: bool) -> Self {
        self.settings.resend_ambiguous = resend;
        self
    }

    /// Whether a request waits for a key when no link is usable and the wait fits its deadline. Without a
    /// deadline nothing waits. Default: yes.
    #[must_use]
    pub const fn wait_for_key(mut self, wait: bool) -> Self {
        self.settings.wait_for_key = wait;
        self
    }

    /// How long a request waits for a provider before it goes on to the next one. Default: zero, the next provider
    /// is asked at once.
    ///
    /// A wait that the provider states, or that is known of its keys, is waited for if it is no longer than this and
    /// fits the deadline; and one fault that passes ([`Overloaded`](crate::classify::Reason::Overloaded),
    /// `ServerError`, `Unreachable`) is retried. Each provider has this chance once per request, and a retry takes
    /// its share of the [retry budget](Self::retry_budget). A request that may have run is never sent to the
    /// same provider again for it.
    ///
    /// Useful where the next provider is weaker or more expensive: two or three seconds are often enough.
    #[must_use]
    pub const fn patience(mut self, longest: Duration) -> Self {
        self.settings.patience = longest;
        self
    }

    /// How many attempts a request may have over the whole chain; of these, one is kept for each link that has
    /// not had its turn. Default: [`MAX_ATTEMPTS`](ProviderFallbackLayer::MAX_ATTEMPTS).
    #[must_use]
    pub const fn max_attempts(mut self, attempts: usize) -> Self {
        self.settings.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The least and the longest time before a provider's fault is retried. Default:
    /// [`BACKOFF`](ProviderFallbackLayer::BACKOFF).
    #[must_use]
    pub fn backoff(mut self, least: Duration, longest: Duration) -> Self {
        self.settings.backoff = RetryDelay::between(least, longest);
        self
    }

    /// Limits such retries over all requests. Default: [`RetryBudget::default`].
    #[must_use]
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.settings.budget = budget;
        self
    }

    /// When a link is left alone, and when it is tried again. Default: [`BreakerPolicy::default`].
    #[must_use]
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.settings.breaker = policy;
        self
    }

    /// How much of a streaming request body is recorded for another attempt, in bytes. Default:
    /// [`ReplayBody::CAP`].
    #[must_use]
    pub const fn replay_cap(mut self, bytes: usize) -> Self {
        self.settings.replay_cap = bytes;
        self
    }

    /// Whether an event stream that breaks after its commit also says so in a last event, in the dialect of the
    /// stream: `data: {"error":…}`, or `event: error` for Anthropic's Messages and OpenAI's Responses. The body
    /// ends with the error all the same. Default: no.
    #[must_use]
    pub const fn error_events(mut self, tell: bool) -> Self {
        self.settings.error_events = tell;
        self
    }

    /// The hub that hears of what happens in the chain. Default: one of its own, that only log lines come of.
    /// Give it to the pools of the links too for one stream of everything.
    #[must_use]
    pub fn events(mut self, events: &Events) -> Self {
        self.settings.events = events.clone();
        self
    }
}

// Derived impls would ask the same of the response body.

impl<B> Clone for ProviderFallbackLayer<B> {
    fn clone(&self) -> Self {
        let Self { links, others, settings } = self;
        Self { links: links.clone(), others: others.clone(), settings: settings.clone() }
    }
}

impl<B> fmt::Debug for ProviderFallbackLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { links, others: _, settings } = self;
        f.debug_struct("ProviderFallbackLayer")
            .field("links", links)
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

impl<S, B> Layer<S> for ProviderFallbackLayer<B> {
    type Service = ProviderFallback<S, B>;

    fn layer(&self, first: S) -> Self::Service {
        let link = |(name, route): &(Arc<str>, Route)| {
            let events = self.settings.events.clone();
            Arc::new(Link::new(Arc::clone(name), route.clone(), self.settings.breaker, events))
        };
        let links = self.links.iter().map(link).collect();
        ProviderFallback::new(first, Chain::new(links, self.others.clone(), self.settings.clone()))
    }
}
