//! The state of one request in rotation: the request itself, its limits in time, and the attempts that failed.

pub(in crate::rotate) mod failed_attempts;
pub(in crate::rotate) mod refusal;

use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT_ENCODING;
use http::request::Parts;
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::RestLimits;
use crate::clock::Moment;
use crate::exchange::context::ChainContext;
use crate::exchange::deadline::Deadline;
use crate::exchange::inspect::Inspector;
use crate::key::KeyId;
use crate::limits::Cost;
use crate::pool::{AcquireRequest, Exhausted, Lease};
use crate::rotate::audit::Audit;
use crate::rotate::config::Config;
use crate::rotate::request::Template;
use crate::rotate::state::failed_attempts::FailedAttempts;

/// The state of one request in rotation.
pub(super) struct RequestState<B> {
    pub(super) request: Template,
    /// The cost of the request to the limits of the pool.
    pub(super) cost: Cost,
    pub(super) config: Arc<Config>,
    /// The limits that a chain around the layer sets.
    pub(super) context: Option<ChainContext>,
    /// The attempts that failed. Boxed, because most requests have none.
    pub(super) failures: Option<Box<FailedAttempts<B>>>,
}

// === impl RequestState ===

impl<B> RequestState<B> {
    pub(super) fn new(config: Arc<Config>, mut parts: Parts) -> Self {
        // Extensions are copied for each attempt, so those that are meant for this layer are removed.
        let context = parts.extensions.remove::<ChainContext>();
        let callers = parts.extensions.get::<Deadline>().map(|deadline| deadline.instant());
        let own = config.deadline.and_then(|limit| Instant::now().checked_add(limit));
        let deadline = callers.into_iter().chain(own).min();
        // A chain around the layer watches the caller's deadline, and drops the future when it passes.
        let chain_ends = context.is_some() && deadline == callers;
        if context.is_some() && callers.is_some() {
            parts.extensions.remove::<Deadline>();
        }
        if !config.keep_accept_encoding {
            parts.headers.remove(ACCEPT_ENCODING);
        }
        let tried = context.as_ref().map(|context| context.tried_at(config.pool.id()));
        let again =
            tried.filter(|tried| !tried.is_empty()).map(|tried| Box::new(FailedAttempts::again(tried)));
        Self {
            request: Template::new(parts, deadline, chain_ends),
            cost: Cost::REQUEST,
            config,
            context,
            failures: again,
        }
    }

    pub(super) async fn begin<ReqBody>(&mut self, body: ReqBody)
    where
        ReqBody: Body + Send + 'static,
        ReqBody::Error: Into<BoxError>,
    {
        match &self.context {
            // The chain decides about retries, so the retry budget of the layer is not used.
            Some(context) => context.join(),
            None => self.config.policy.begin(),
        }
        self.request.receive(body, self.config.replay_cap, self.config.pool.provider()).await;
    }

    /// Starts the audit of an attempt.
    pub(super) fn audit(&self, lease: &Lease) -> Audit {
        Audit::begin(&self.config.pool, lease)
    }

    /// Returns the inspector of responses, with the limits of the chain, or else of the layer.
    pub(super) fn inspector<'a, C>(&'a self, classifier: &'a C, lease: &'a Lease) -> Inspector<'a, C> {
        Inspector {
            classifier,
            limits: self.context.as_ref().map_or(&self.config.limits, ChainContext::limits),
            look_into_streams: self.context.as_ref().is_none_or(ChainContext::looks_into_streams),
            look_into_success: self.config.pool.provider().errors_in_ok_bodies(),
            is_head: self.request.is_head(),
            path: self.request.path_and_query(),
            secret: Some(lease.secret()),
        }
    }

    /// Returns the failed attempts, to add one.
    pub(super) fn failures(&mut self) -> &mut FailedAttempts<B> {
        self.failures.get_or_insert_default()
    }

    /// Returns whether an attempt has failed since the layer was called.
    pub(super) fn has_failed(&self) -> bool {
        self.failures.as_deref().is_some_and(|failures| !failures.attempts.is_empty())
    }

    /// Returns the keys that the request has tried.
    pub(super) fn tried(&self) -> &[KeyId] {
        self.failures.as_deref().map_or(&[], |failures| failures.tried.all())
    }

    /// Returns the request to the pool for a key other than those in `tried`.
    pub(super) fn wanted<'t>(&'t self, tried: &'t [KeyId]) -> AcquireRequest<'t> {
        let (model, session) = (self.request.known_model(), self.request.session());
        let is_repeat = self.failures.as_deref().is_some_and(|failures| failures.is_repeat);
        let mut wanted = AcquireRequest::new().endpoint(self.request.path());
        (wanted.model, wanted.session, wanted.tried) = (model, session, tried);
        wanted.home = self.request.home(self.config.pool.provider());
        (wanted.is_repeat, wanted.was_refused, wanted.cost) = (is_repeat, self.has_failed(), self.cost);
        wanted
    }

    /// Returns whether a key is usable that the request has not tried and that is not in `but`.
    pub(super) fn has_another_key(&self, but: &[KeyId]) -> bool {
        let tried = [self.tried(), but].concat();
        self.config.pool.earliest(&self.wanted(&tried), Moment::now()).is_over()
    }

    /// Returns the maximum time to the head of a response: the shorter limit of the layer and of the chain.
    pub(super) fn head_timeout(&self) -> Option<Duration> {
        let chains = self.context.as_ref().and_then(ChainContext::head_timeout);
        self.config.head_timeout.into_iter().chain(chains).min()
    }

    /// Returns whether the deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        self.request.own_deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Returns the time until the latest start of an attempt that can end before the deadline.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let latest = self.config.pool.latest_start(self.request.deadline()?);
        Some(latest.saturating_duration_since(Instant::now()))
    }

    /// Returns the time until a key is usable, if the wait fits the deadline.
    pub(super) fn wait_for_key(&self, exhausted: &Exhausted) -> Option<Duration> {
        let fits = |deadline| exhausted.wait().ends_by(self.config.pool.latest_start(deadline));
        exhausted.wait().at_least().filter(|_| self.request.deadline().is_none_or(fits))
    }

    /// Returns the limits in time for the rest of a response that is delivered with an error or in its place.
    pub(super) fn rest_limits(&self) -> RestLimits {
        RestLimits::new(self.context.as_ref().and_then(ChainContext::idle_timeout), self.request.deadline())
    }
}
