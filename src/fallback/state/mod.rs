//! A request's way down the chain: where it has been, and where it goes next.

mod again;
pub(in crate::fallback) mod failure;
mod order;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::{EventDialect, ReplayBody, Upload};
use crate::error::Error;
use crate::error::SkipReason;
use crate::error::UnknownLink;
use crate::error::{AllProvidersFailed, ProviderFailed};
use crate::event::{EventKind, EventSource, Severity};
use crate::exchange::context::ChainContext;
use crate::exchange::deadline::Deadline;
use crate::exchange::head::Head;
use crate::exchange::inspect::Limits;
use crate::exchange::served::Served;
use crate::fallback::Unroutable;
use crate::fallback::breaker::BreakerOpen;
use crate::fallback::hold_back::HoldBack;
use crate::fallback::link::{Chain, Link};
use crate::fallback::pin::ProviderPin;
use crate::fallback::state::failure::LinkFailure;
use crate::fallback::state::order::LinkOrder;
use crate::provider::ModelId;

/// A request's way down the chain.
pub(super) struct ChainState<B> {
    pub(super) chain: Arc<Chain<B>>,
    head: Head,
    /// Empty until it has [begun](Self::begin).
    body: ReplayBody,
    deadline: Option<Instant>,
    pub(super) context: ChainContext,
    /// Which responses are read before the commit.
    pub(super) hold_back: HoldBack,
    /// Links that have not had their turn.
    ahead: LinkOrder,
    /// What became of the request at each link that had.
    behind: Vec<LinkFailure>,
    /// The link that was left or skipped last.
    last: Option<usize>,
    /// Its name, and why it was left.
    left: Option<(Arc<str>, &'static str)>,
    retried: bool,
}

/// Where a request goes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextLink {
    pub(super) link: usize,
    /// How long to wait before.
    pub(super) after: Duration,
    /// How long the link may wait for a key; zero: not at all.
    pub(super) longest_wait: Duration,
    /// The chain is patient with the link, and asks no other before.
    is_patient: bool,
}

// === impl Trip ===

impl<B> ChainState<B> {
    pub(super) fn new(chain: Arc<Chain<B>>, parts: Parts) -> Self {
        let settings = &chain.settings;
        let hold_back = HoldBack::of(&parts, settings);
        let limits = Limits { look_into_streams: hold_back.looks_into_streams(), ..settings.limits };
        Self {
            deadline: parts.extensions.get::<Deadline>().map(|deadline| deadline.instant()),
            context: ChainContext::new(
                settings.max_attempts,
                settings.head_timeout,
                settings.idle_timeout,
                limits,
                settings.error_events,
            ),
            hold_back,
            ahead: LinkOrder::of(&chain, parts.extensions.get()),
            behind: Vec::new(),
            last: None,
            left: None,
            retried: false,
            body: ReplayBody::empty(),
            head: Head::new(parts),
            chain,
        }
    }

    /// Takes the body, and says when that was.
    pub(super) async fn begin<ReqBody>(&mut self, body: ReqBody) -> Instant
    where
        ReqBody: Body + Send + 'static,
        ReqBody::Error: Into<BoxError>,
    {
        let settings = &self.chain.settings;
        settings.budget.deposit();
        let now = Instant::now();
        // A limit beyond the end of time is none.
        let own = settings.deadline.and_then(|limit| now.checked_add(limit));
        self.deadline = self.deadline.into_iter().chain(own).min();
        self.body = ReplayBody::new(body, settings.replay_cap).await;
        now
    }

    /// The next link in order, unless the chain is patient with the last; when all have had their turn, one that
    /// a retry or a wait may serve.
    ///
    /// Each step consumes an attempt, time, a link's turn, or the one retry, patience or wait that a link gets
    /// without an attempt: a request can't go round for free.
    pub(super) fn next_step(&mut self) -> Option<NextLink> {
        if self.context.attempts() == 0 {
            return None;
        }
        let patient = self.patience();
        let next = patient.or_else(|| self.ahead.next().map(NextLink::to));
        next.or_else(|| self.retry()).or_else(|| self.wait())
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Links end at the deadline by themselves, and may do so a moment before the chain notices.
    pub(super) fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// The dialect that event streams are supposed to have.
    pub(super) fn dialect(&self) -> EventDialect {
        EventDialect::of_path(self.head.uri().path())
    }

    /// The request as it came.
    pub(super) fn request(&mut self) -> Request<ReplayBody> {
        self.head.make(self.body.clone())
    }

    /// How the body arrives from the caller.
    pub(super) fn upload(&self) -> Upload {
        self.body.upload()
    }

    /// It is the link's turn.
    pub(super) fn turn_to(&self, next: NextLink) {
        self.context.begin_link(next.longest_wait, self.ahead.left);
    }

    /// Makes the request what the link is to get.
    pub(super) async fn direct(
        &self,
        request: &mut Request<ReplayBody>,
        link: &Link,
    ) -> Result<(), Unroutable> {
        if !self.body.is_replayable() {
            return Err(Unroutable::NotReplayable);
        }
        if link.route.renames() {
            Box::pin(self.rename(request, link)).await?;
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

    /// Before a link is called: the request goes on there, if it has been elsewhere.
    pub(super) fn report_fallback(&self, to: &Link) {
        let Some((from, reason)) = self.left.as_ref().filter(|(from, _)| *from != to.name) else { return };
        let source = EventSource { name: from, system: None };
        self.chain.settings.events.emit(Severity::Detail, source, || EventKind::FellOver {
            from: Arc::clone(from),
            to: Arc::clone(&to.name),
            reason,
        });
    }

    pub(super) fn skip_open(&mut self, next: NextLink, open: BreakerOpen) {
        let skipped = ProviderFailed::new(self.name_of(next.link), SkipReason::BreakerOpen);
        self.book(next, ProviderFailed { retry_after: open.retry_after, ..skipped });
    }

    /// An error, if it is the request's own body that failed while the model was looked for in it.
    pub(super) fn skip_unroutable(&mut self, next: NextLink, unroutable: Unroutable) -> Result<(), Error> {
        if let Some(error) = self.body.take_error() {
            return Err(Error::Body(error));
        }
        let because = match unroutable {
            Unroutable::NoModel => SkipReason::NoModel,
            Unroutable::NotReplayable => SkipReason::NotReplayable,
            Unroutable::NotFound | Unroutable::Url => SkipReason::Unroutable,
        };
        self.book(next, ProviderFailed::new(self.name_of(next.link), because));
        Ok(())
    }

    /// The link did not serve the request. An error, if no other may be asked.
    pub(super) fn leave(&mut self, next: NextLink, failed: ProviderFailed) -> Result<(), Error> {
        if let Some(error) = self.body.take_error() {
            return Err(Error::Body(error));
        }
        let stop =
            failed.may_have_run() && !self.chain.settings.resend_ambiguous && !self.head.is_idempotent();
        self.book(next, failed);
        if stop { Err(self.take_failed(self.is_past_deadline(Instant::now()))) } else { Ok(()) }
    }

    /// Names the link that served the request, and what was tried before.
    pub(super) fn deliver<T>(&mut self, response: &mut Response<T>, link: &Link) {
        if self.chain.is_failing.load(Ordering::Relaxed) {
            self.chain.is_failing.store(false, Ordering::Relaxed);
        }
        if let Some(served) = response.extensions_mut().get_mut::<Served>() {
            let before = self.behind.drain(..).flat_map(|failure| failure.failed.attempts);
            served.in_chain(Arc::clone(&link.name), before);
        }
    }

    /// The deadline passed while the link was asked.
    pub(super) fn cut_off(&mut self, next: NextLink, since: Instant) {
        let took = self.context.was_called().then(|| Instant::now().saturating_duration_since(since));
        self.book(next, ProviderFailed::cut_off(self.name_of(next.link), took));
    }

    pub(super) fn failed(mut self) -> Error {
        match self.unknown_link() {
            Some(unknown) => Error::from(unknown),
            None => self.take_failed(false),
        }
    }

    /// Whether the request is pinned to a link that is not there.
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
        // An alarm when the chain begins to fail, and not for each request.
        let fails_already = self.chain.is_failing.swap(true, Ordering::Relaxed);
        let severity = if fails_already { Severity::Detail } else { Severity::Alarm };
        self.chain.emit(&self.chain.links[0], severity, || EventKind::ChainFailed {
            providers: failed.providers().len(),
            attempts: failed.attempts().count(),
            deadline_passed,
            retry_after: failed.retry_after(),
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

// === impl Step ===

impl NextLink {
    /// At once.
    const fn to(link: usize) -> Self {
        Self { link, after: Duration::ZERO, longest_wait: Duration::ZERO, is_patient: false }
    }
}
