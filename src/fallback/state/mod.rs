//! The state of one request in a chain: the links it has tried, and the next one.

mod again;
pub(in crate::fallback) mod failure;
pub(in crate::fallback) mod next_link;
mod order;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Request;
use http::request::Parts;
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::{EventDialect, ReplayBody, Upload, UsageSlot};
use crate::error::Error;
use crate::error::SkipReason;
use crate::error::UnknownLink;
use crate::error::{AllProvidersFailed, ProviderFailed};
use crate::event::{EventKind, EventSource, Severity};
use crate::exchange::context::ChainContext;
use crate::exchange::deadline::Deadline;
use crate::exchange::head::Head;
use crate::exchange::served::Served;
use crate::fallback::Unroutable;
use crate::fallback::breaker::BreakerOpen;
use crate::fallback::hold_back::HoldBack;
use crate::fallback::link::{Chain, Link};
use crate::fallback::pin::ProviderPin;
use crate::fallback::state::failure::LinkFailure;
use crate::fallback::state::next_link::NextLink;
use crate::fallback::state::order::LinkOrder;
use crate::fallback::timeouts;
use crate::provider::ModelId;

/// The state of one request in a chain.
pub(super) struct ChainState<B> {
    pub(super) chain: Arc<Chain<B>>,
    head: Head,
    /// Empty until the request has [begun](Self::begin).
    body: ReplayBody,
    deadline: Option<Instant>,
    pub(super) context: ChainContext,
    /// The rules by which responses are read before the commit.
    pub(super) hold_back: HoldBack,
    /// Links that have not had their turn.
    ahead: LinkOrder,
    /// The failures at links that have had their turn.
    behind: Vec<LinkFailure>,
    /// The link that was left or skipped last.
    last: Option<usize>,
    /// The name of the link that was left last, and the reason.
    left: Option<(Arc<str>, &'static str)>,
    retried: bool,
}

// === impl ChainState ===

impl<B> ChainState<B> {
    pub(super) fn new(chain: Arc<Chain<B>>, parts: Parts) -> Self {
        let settings = &chain.settings;
        let hold_back = HoldBack::of(&parts, settings);
        Self {
            deadline: parts.extensions.get::<Deadline>().map(|deadline| deadline.instant()),
            context: ChainContext::new(
                settings.max_attempts,
                Arc::clone(&chain.times),
                hold_back.looks_into_streams(),
                settings.error_events,
            ),
            hold_back,
            ahead: LinkOrder::of(&chain, &parts),
            behind: Vec::new(),
            last: None,
            left: None,
            retried: false,
            body: ReplayBody::empty(),
            head: Head::new(parts),
            chain,
        }
    }

    /// Takes the body. Returns the time at which the request began.
    pub(super) async fn begin<ReqBody>(&mut self, body: ReqBody) -> Instant
    where
        ReqBody: Body + Send + 'static,
        ReqBody::Error: Into<BoxError>,
    {
        let settings = &self.chain.settings;
        settings.budget.deposit();
        let now = Instant::now();
        // A deadline that can't be represented is none.
        let own = settings.deadline.and_then(|limit| now.checked_add(limit));
        self.deadline = self.deadline.into_iter().chain(own).min();
        self.body = ReplayBody::new(body, settings.replay_cap).await;
        now
    }

    /// Returns the next turn: a second one for the last link if the chain is patient with it, otherwise the
    /// next link in order, and after the last link a retry or a wait.
    ///
    /// Each turn consumes an attempt, time, a link's turn, or the one retry, patience or wait that a link gets
    /// without an attempt. So a request can't loop without progress.
    pub(super) fn next_step(&mut self) -> Option<NextLink> {
        if self.context.attempts() == 0 {
            return None;
        }
        let patient = self.patience();
        let next = patient.or_else(|| self.next_link());
        next.or_else(|| self.retry()).or_else(|| self.wait())
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns whether the deadline has passed. A link may end at the deadline a moment before the chain notices it.
    pub(super) fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Returns the dialect that event streams should have, according to the request's path.
    pub(super) fn dialect(&self) -> EventDialect {
        EventDialect::of_path(self.head.uri().path())
    }

    /// Builds the request as it came.
    pub(super) fn request(&mut self) -> Request<ReplayBody> {
        self.head.make(self.body.clone())
    }

    /// Returns the upload of the body by the caller.
    pub(super) fn upload(&self) -> Upload {
        self.body.upload()
    }

    /// Begins the turn of a link.
    pub(super) fn turn_to(&self, next: NextLink) {
        self.context.begin_link(next.longest_wait, self.ahead.left);
    }

    /// Applies the link's route to the request, and adds the chain's context.
    pub(super) async fn direct(
        &self,
        request: &mut Option<Request<ReplayBody>>,
        link: &Link,
    ) -> Result<(), Unroutable> {
        let Some(request) = request.as_mut().filter(|_| self.body.is_replayable()) else {
            return Err(Unroutable::NotReplayable);
        };
        if link.route.renames() {
            Box::pin(self.rename(request, link)).await?;
        }
        if !self.chain.settings.by_model.is_empty() {
            let (by_model, reader) = (&self.chain.settings.by_model, &self.chain.general);
            let chosen = Box::pin(timeouts::choose(by_model, request, reader)).await;
            self.context.choose_times(chosen);
        }
        link.route.direct(request)?;
        request.extensions_mut().insert(self.context.clone());
        if let Some(deadline) = self.deadline {
            request.extensions_mut().insert(Deadline::at(deadline));
        }
        Ok(())
    }

    async fn rename(&self, request: &mut Request<ReplayBody>, link: &Link) -> Result<(), Unroutable> {
        let (mut parts, body) = std::mem::take(request).into_parts();
        let model = self.head.extensions().get::<ModelId>();
        let body = link.route.rename(&mut parts, &body, model).await?;
        *request = Request::from_parts(parts, body);
        Ok(())
    }

    /// Emits an event if the request has left another link before. Called before a link is called.
    pub(super) fn report_fallback(&self, to: &Link) {
        let Some((from, reason)) = self.left.as_ref().filter(|(from, _)| *from != to.name) else { return };
        let source = EventSource { name: from, system: None };
        self.chain.settings.events.emit(Severity::Detail, source, || EventKind::FellOver {
            from: Arc::clone(from),
            to: Arc::clone(&to.name),
            reason,
            caller: self.head.extensions().get().cloned(),
        });
    }

    pub(super) fn skip_open(&mut self, next: NextLink, open: BreakerOpen) {
        let skipped = ProviderFailed::new(self.name_of(next.link), SkipReason::BreakerOpen);
        self.book(next, ProviderFailed { retry_after: open.retry_after, ..skipped });
    }

    /// Records that the link was skipped. Fails if the request's own body failed while it was searched for the model.
    pub(super) fn skip_unroutable(&mut self, next: NextLink, unroutable: Unroutable) -> Result<(), Error> {
        if let Some(error) = self.body.take_error() {
            return Err(Error::Body(error));
        }
        self.book(next, ProviderFailed::new(self.name_of(next.link), unroutable.into()));
        Ok(())
    }

    /// Records that the link did not serve the request. Fails if no other link may be called.
    pub(super) fn leave(&mut self, next: NextLink, failed: ProviderFailed) -> Result<(), Error> {
        if let Some(error) = self.body.take_error() {
            return Err(Error::Body(error));
        }
        let stop =
            failed.may_have_run() && !self.chain.settings.resend_ambiguous && !self.head.is_idempotent();
        self.book(next, failed);
        if stop { Err(self.take_failed(self.is_past_deadline(Instant::now()))) } else { Ok(()) }
    }

    /// Records the link that served the request, and the attempts before, in the response. Returns the slot that receives
    /// the end of the body.
    pub(super) fn deliver<'s>(
        &mut self,
        served: Option<&'s mut Served>,
        link: &Link,
    ) -> Option<&'s UsageSlot> {
        if self.chain.is_failing.load(Ordering::Relaxed) {
            self.chain.is_failing.store(false, Ordering::Relaxed);
        }
        let served = served?;
        served.set_link(Arc::clone(&link.name));
        if !self.behind.is_empty() {
            served.prepend(self.behind.drain(..).flat_map(|failure| failure.failed.attempts));
        }
        Some(served.usage_cell_ref())
    }

    /// Records that the deadline passed during the turn of the link.
    pub(super) fn cut_off(&mut self, next: NextLink, since: Instant) {
        let took = self.context.was_called().then(|| Instant::now().saturating_duration_since(since));
        self.book(next, ProviderFailed::cut_off(self.name_of(next.link), took));
    }

    pub(super) fn failed(mut self) -> Error {
        match self.unknown_link() {
            Some(unknown) => Error::from(unknown),
            None => {
                self.add_absent_endpoint();
                self.take_failed(false)
            }
        }
    }

    /// Returns the error of a request that is pinned to a link that the chain does not have.
    fn unknown_link(&self) -> Option<UnknownLink> {
        let pin: &ProviderPin = self.head.extensions().get()?;
        let links: Vec<_> = self.chain.links.iter().map(|link| Arc::clone(&link.name)).collect();
        let is_unknown = !links.iter().any(|link| pin.is_to(link));
        is_unknown.then(|| UnknownLink { pinned: Arc::clone(pin.link()), links })
    }

    pub(super) fn deadline_passed(mut self) -> Error {
        self.take_failed(true)
    }

    fn take_failed(&mut self, deadline_passed: bool) -> Error {
        let now = Instant::now();
        let failures = self.behind.drain(..).map(|failure| failure.into_failed(now)).collect();
        let failed = AllProvidersFailed { failures, deadline_passed };
        // An alarm when the chain begins to fail, not for each request.
        let fails_already = self.chain.is_failing.swap(true, Ordering::Relaxed);
        let severity = if fails_already { Severity::Detail } else { Severity::Alarm };
        self.chain.emit(&self.chain.links[0], severity, || EventKind::ChainFailed {
            providers: failed.providers().len(),
            attempts: failed.attempts().count(),
            deadline_passed,
            retry_after: failed.retry_after(),
            caller: self.head.extensions().get().cloned(),
        });
        Error::from(failed)
    }

    fn name_of(&self, link: usize) -> Arc<str> {
        Arc::clone(&self.chain.links[link].name)
    }

    fn book(&mut self, next: NextLink, failed: ProviderFailed) {
        self.last = Some(next.link);
        self.left = Some((self.name_of(next.link), failed.word()));
        let failure = LinkFailure::new(next, failed);
        match self.behind.iter_mut().find(|before| before.link == next.link) {
            Some(before) => before.then(failure),
            None => self.behind.push(failure),
        }
    }
}
