//! The layer of a chain of providers, and its settings.

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
use crate::fallback::timeouts::Timeouts;

/// Puts several providers behind one service, and falls back to the next one if a provider fails.
///
/// See the [module docs](super) for the rules and an example. `B` is the type of the response bodies of all links.
/// Clones of the resulting service share breakers and budgets.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::fallback::{ContextLength, ProviderFallbackLayer};
///
/// let layer = ProviderFallbackLayer::<()>::new("openai")
///     .deadline(Duration::from_secs(60))
///     .first_content_timeout(Duration::from_secs(15))
///     .context_length(ContextLength::FallOver)
///     .patience(Duration::from_secs(3));
/// # drop(layer);
/// ```
pub struct ProviderFallbackLayer<B> {
    links: Vec<(Arc<str>, Route)>,
    others: Vec<Boxed<B>>,
    settings: Settings,
}

// === impl ProviderFallbackLayer ===

/// The default settings. They do not depend on the type of the response bodies, and are defined for the unit type
/// so that `ProviderFallbackLayer::MAX_ATTEMPTS` needs no type argument.
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
    /// Creates a chain with one link, the service that the layer wraps. `first` is the name of that link.
    pub fn new(first: impl Into<Arc<str>>) -> Self {
        Self { links: vec![(first.into(), Route::new())], others: Vec::new(), settings: Settings::default() }
    }

    /// Sets the route of the first link. Default: [`Route::new`], which changes nothing.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.links[0].1 = route;
        self
    }

    /// Adds a link to the end of the chain: any service that takes requests with a [`ReplayBody`] and has the same
    /// response body.
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

    /// Sets the rule for the link that a request is sent to first. Default: [`Start::Ordered`].
    #[must_use]
    pub const fn start(mut self, start: Start) -> Self {
        self.settings.start = start;
        self
    }

    /// Sets the time limit of a request until its response is committed to, and until the end of an error response.
    /// The request's own [`Deadline`](crate::Deadline) applies if it is earlier. Default: no limit.
    #[must_use]
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.settings.deadline = Some(limit);
        self
    }

    /// Sets the time limit for the head of a response, for each attempt. Default: no limit, because reasoning
    /// models are silent for minutes.
    #[must_use]
    pub const fn head_timeout(mut self, limit: Duration) -> Self {
        self.settings.head_timeout = Some(limit);
        self
    }

    /// Sets the time limit for the first content of a stream, counted from its head, whatever else the stream sends
    /// before it. Once it has shown that the model thinks, each keep-alive begins the limit anew, up to ten limits in
    /// total. A stream that sends more than 8 MiB without content is abandoned earlier. Default: no limit; the chain
    /// commits to a stream after 10 s, 64 KiB or 200 events without content.
    #[must_use]
    pub const fn first_content_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.set_first_content(limit);
        self
    }

    /// Sets the time limit for a pause in a stream after its commit. Default: no limit.
    ///
    /// Comments, pings and events without content end a pause, but a stream that sends nothing else ends after ten
    /// to eleven times the limit.
    #[must_use]
    pub const fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// Sets other time limits for the models that a pattern matches, in which `*` stands for any text. May be called
    /// repeatedly; the first pattern that matches applies. Default: the same limits for all models.
    ///
    /// The pattern is compared with the name under which the link is asked for the model. If the beginning of a body
    /// names no model, the chain waits for its end.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::ProviderFallbackLayer;
    /// use tower_key_rotation::fallback::Timeouts;
    ///
    /// let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    /// let thinking = Timeouts::new().head(minutes(10)).first_content(minutes(10));
    /// let layer = ProviderFallbackLayer::<String>::new("openai")
    ///     .head_timeout(Duration::from_secs(30))
    ///     .timeouts_for("o*", thinking)
    ///     .timeouts_for("*-thinking", thinking);
    /// ```
    #[must_use]
    pub fn timeouts_for(mut self, models: impl Into<String>, timeouts: Timeouts) -> Self {
        self.settings.by_model.push((models.into(), timeouts));
        self
    }

    /// Sets the point at which the chain commits to a response. A request may have a [`Commit`] of its own in its
    /// extensions. Default: [`Commit::FirstContent`].
    #[must_use]
    pub const fn commit(mut self, commit: Commit) -> Self {
        self.settings.commit = commit;
        self
    }

    /// Sets the maximum number of bytes of a response that are held back before the [`Commit`]. The chain
    /// commits to a longer one. Default: [`COMPLETE_CAP`](ProviderFallbackLayer::COMPLETE_CAP).
    #[must_use]
    pub const fn complete_cap(mut self, bytes: usize) -> Self {
        self.settings.complete_cap = bytes;
        self
    }

    /// Sets the action for a request that is too long for a provider's model. Default: [`ContextLength::Deliver`].
    #[must_use]
    pub const fn context_length(mut self, then: ContextLength) -> Self {
        self.settings.context_length = then;
        self
    }

    /// Sets whether the chain moves on to the next provider if one may have executed the request, and may bill
    /// it: its response is late, broken or cut before the commit. Default: `true`.
    ///
    /// With `false` such a request ends with an error, unless it has a safe method or an `Idempotency-Key`.
    /// [Paid once](crate::rotate::paid_once) lists each fault.
    #[must_use]
    pub const fn resend_ambiguous(mut self, resend: bool) -> Self {
        self.settings.resend_ambiguous = resend;
        self
    }

    /// Sets whether a request waits for a key if no link is usable and the wait fits its deadline. A request
    /// without a deadline does not wait. Default: `true`.
    #[must_use]
    pub const fn wait_for_key(mut self, wait: bool) -> Self {
        self.settings.wait_for_key = wait;
        self
    }

    /// Sets the maximum time that a request waits for one provider before it moves on to the next. Default:
    /// zero, the next provider is called at once.
    ///
    /// If a provider states a wait, or a wait is known for its keys, the request waits if that is no longer
    /// than this setting and fits the deadline. A fault that may pass
    /// ([`Overloaded`](crate::classify::Reason::Overloaded), `ServerError`, `Unreachable`) is retried once.
    /// Each provider has this chance once per request, and a retry takes its share of the
    /// [retry budget](Self::retry_budget). A request that may have been executed is never sent to the same provider
    /// again for this reason.
    ///
    /// Useful if the next provider is weaker or more expensive. Two or three seconds are often enough.
    #[must_use]
    pub const fn patience(mut self, longest: Duration) -> Self {
        self.settings.patience = longest;
        self
    }

    /// Sets the maximum number of attempts of one request over the whole chain; 0 counts as 1. One attempt is
    /// reserved for each link that has not had its turn. Default:
    /// [`MAX_ATTEMPTS`](ProviderFallbackLayer::MAX_ATTEMPTS).
    #[must_use]
    pub const fn max_attempts(mut self, attempts: usize) -> Self {
        self.settings.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Sets the shortest and longest delay before a provider's fault is retried. The delay is random in
    /// between. Default: [`BACKOFF`](ProviderFallbackLayer::BACKOFF).
    #[must_use]
    pub fn backoff(mut self, least: Duration, longest: Duration) -> Self {
        self.settings.backoff = RetryDelay::between(least, longest);
        self
    }

    /// Sets the budget that limits retries over all requests. Default: [`RetryBudget::default`].
    #[must_use]
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.settings.budget = budget;
        self
    }

    /// Sets the policy of the links' circuit breakers. Default: [`BreakerPolicy::default`].
    #[must_use]
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.settings.breaker = policy;
        self
    }

    /// Sets the number of bytes of a streaming request body that are recorded for another attempt. Default:
    /// [`ReplayBody::CAP`]. A body that comes in one piece can be sent again whatever its size.
    #[must_use]
    pub const fn replay_cap(mut self, bytes: usize) -> Self {
        self.settings.replay_cap = bytes;
        self
    }

    /// Sets whether an event stream that breaks after its commit also reports the error in a last event, in the
    /// dialect of the stream: `data: {"error":…}`, or `event: error` for Anthropic's Messages and OpenAI's
    /// Responses. The body ends with the error in any case. Default: `false`.
    #[must_use]
    pub const fn error_events(mut self, tell: bool) -> Self {
        self.settings.error_events = tell;
        self
    }

    /// Sets the event hub of the chain. Default: a hub of its own, whose events are only logged. Give the same
    /// hub to the pools of the links to receive all events in one stream.
    #[must_use]
    pub fn events(mut self, events: &Events) -> Self {
        self.settings.events = events.clone();
        self
    }
}

// Derived impls would require the same traits of the response body.

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
