//! A request's way down the chain: where it has been, and where it goes next.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use super::Unroutable;
use super::failure::{AllProvidersFailed, LeftBecause, ProviderFailed, UnknownLink};
use super::hold_back::HoldBack;
use super::link::{Chain, Link};
use super::pin::Pin;
use crate::body::{EventDialect, ReplayBody, Upload};
use crate::classify::{Fault, Reason, Scope};
use crate::error::{Error, GaveUp};
use crate::event::{Kind, Severity, Source};
use crate::head::Head;
use crate::inspect::Limits;
use crate::provider::ModelId;
use crate::rotate::budget::Ticket;
use crate::rotate::{Deadline, Served};

/// A request's way down the chain.
pub(super) struct Trip<B> {
    pub(super) chain: Arc<Chain<B>>,
    head: Head,
    /// Empty until it has [begun](Self::begin).
    body: ReplayBody,
    deadline: Option<Instant>,
    pub(super) ticket: Ticket,
    /// Which responses are read before the commit.
    pub(super) hold_back: HoldBack,
    /// Links that have not had their turn.
    ahead: Ahead,
    /// What became of the request at each link that had, and the link's number.
    behind: Vec<(usize, ProviderFailed)>,
    /// The link that was left or skipped last, and why.
    left: Option<(Arc<str>, &'static str)>,
    retried: bool,
}

/// Where a request goes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) link: usize,
    pub(super) after: Duration,
    /// No other link is usable: the link may wait for a key.
    pub(super) may_wait: bool,
}

// === impl Trip ===

impl<B> Trip<B> {
    pub(super) fn new(chain: Arc<Chain<B>>, parts: Parts) -> Self {
        let settings = &chain.settings;
        let hold_back = HoldBack::of(&parts, settings);
        let limits = Limits { look_into_streams: hold_back.looks_into_streams(), ..settings.limits };
        Self {
            deadline: parts.extensions.get::<Deadline>().map(|deadline| deadline.instant()),
            ticket: Ticket::new(
                settings.max_attempts,
                settings.head_timeout,
                settings.idle_timeout,
                limits,
                settings.error_events,
            ),
            hold_back,
            ahead: Ahead::of(&chain, parts.extensions.get()),
            behind: Vec::new(),
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
        let own = settings.deadline.and_then(|limit| now.checked_add(limit));
        self.deadline = self.deadline.into_iter().chain(own).min();
        self.body = ReplayBody::new(body, settings.replay_cap).await;
        now
    }

    /// The next link in order; when all have had their turn, one that a retry or a wait may serve.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        if !self.ticket.has_attempts() {
            return None;
        }
        let in_order = self.ahead.next();
        let step = |link| Step { link, after: Duration::ZERO, may_wait: false };
        in_order.map(step).or_else(|| self.retry()).or_else(|| self.wait())
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

    /// Makes the request what the link is to get.
    pub(super) async fn direct(
        &self,
        request: &mut Request<ReplayBody>,
        link: &Link,
        may_wait: bool,
    ) -> Result<(), Unroutable> {
        if !self.body.is_replayable() {
            return Err(Unroutable::NotReplayable);
        }
        if link.route.renames() {
            Box::pin(self.rename(request, link)).await?;
        }
        link.route.direct(request)?;
        self.ticket.hand_to_next(may_wait, self.ahead.left);
        request.extensions_mut().insert(self.ticket.clone());
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
    pub(super) fn say_fell_over(&self, to: &Link) {
        let Some((from, reason)) = self.left.as_ref().filter(|(from, _)| *from != to.name) else { return };
        let source = Source { name: from, system: None };
        self.chain.settings.events.emit(Severity::Detail, source, || Kind::FellOver {
            from: Arc::clone(from),
            to: Arc::clone(&to.name),
            reason,
        });
    }

    pub(super) fn skip_open(&mut self, link: usize, retry_after: Option<Duration>) {
        let skipped = ProviderFailed::new(self.name_of(link), LeftBecause::BreakerOpen);
        self.book(link, ProviderFailed { retry_after, ..skipped });
    }

    /// An error, if it is the request's own body that failed while the model was looked for in it.
    pub(super) fn skip_unroutable(&mut self, link: usize, unroutable: Unroutable) -> Result<(), Error> {
        if let Some(error) = self.body.take_error() {
            return Err(Error::Body(error));
        }
        let because = match unroutable {
            Unroutable::NoModel => LeftBecause::NoModel,
            Unroutable::NotReplayable => LeftBecause::NotReplayable,
            Unroutable::NotFound | Unroutable::Url => LeftBecause::Unroutable,
        };
        self.book(link, ProviderFailed::new(self.name_of(link), because));
        Ok(())
    }

    /// The link did not serve the request. An error, if no other may be asked.
    pub(super) fn leave(&mut self, link: usize, failed: ProviderFailed) -> Result<(), Error> {
        if let Some(error) = self.body.take_error() {
            return Err(Error::Body(error));
        }
        let stop =
            failed.may_have_run() && !self.chain.settings.resend_ambiguous && !self.head.is_idempotent();
        self.book(link, failed);
        if stop { Err(self.take_failed(false)) } else { Ok(()) }
    }

    /// Names the link that served the request, and what was tried before.
    pub(super) fn deliver<T>(&mut self, response: &mut Response<T>, link: &Link) {
        if let Some(served) = response.extensions_mut().get_mut::<Served>() {
            let before = self.behind.drain(..).flat_map(|(_, failed)| failed.attempts);
            served.in_chain(Arc::clone(&link.name), before);
        }
    }

    /// The deadline passed while the link was asked.
    pub(super) fn cut_off(&mut self, link: usize) {
        let fault = Fault::new(Reason::Timeout, Scope::None).may_have_run(self.ticket.was_called());
        self.book(link, ProviderFailed::new(self.name_of(link), LeftBecause::Fault(fault)));
    }

    pub(super) fn failed(mut self) -> Error {
        match self.unknown_link() {
            Some(unknown) => Error::from(unknown),
            None => self.take_failed(false),
        }
    }

    /// Whether the request is pinned to a link that is not there.
    fn unknown_link(&self) -> Option<UnknownLink> {
        let pin: &Pin = self.head.extensions().get()?;
        let links: Vec<_> = self.chain.links.iter().map(|link| Arc::clone(&link.name)).collect();
        let is_unknown = !links.iter().any(|link| pin.is_to(link));
        is_unknown.then(|| UnknownLink { pinned: Arc::clone(pin.link()), links })
    }

    pub(super) fn deadline_passed(mut self) -> Error {
        self.take_failed(true)
    }

    fn take_failed(&mut self, deadline_passed: bool) -> Error {
        let failures = self.behind.drain(..).map(|(_, failed)| failed).collect();
        let failed = AllProvidersFailed { failures, deadline_passed };
        self.chain.emit(&self.chain.links[0], Severity::Alarm, || Kind::ChainFailed {
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

    fn book(&mut self, link: usize, failed: ProviderFailed) {
        self.left = Some((self.name_of(link), failed.word()));
        match self.behind.iter_mut().find(|(before, _)| *before == link) {
            Some((_, before)) => before.then(failed),
            None => self.behind.push((link, failed)),
        }
    }

    /// Once, and only where nothing can be billed twice: the first link that failed in a way that may pass soon.
    fn retry(&mut self) -> Option<Step> {
        let backoff = self.chain.settings.backoff;
        let soon = |fault: &Fault| fault.wait().is_none_or(|wait| wait <= backoff.longest());
        let idempotent = self.head.is_idempotent();
        let may_pass = |fault: &&Fault| is_transient(fault.reason()) && soon(fault);
        let candidate = |(link, failed): &(usize, ProviderFailed)| {
            if failed.may_have_run() && !idempotent {
                return None;
            }
            let fault = failed.fault().filter(|_| failed.is_providers_fault()).filter(may_pass)?;
            Some((*link, fault.wait().unwrap_or_default()))
        };
        if self.retried || !self.body.is_replayable() {
            return None;
        }
        let (link, hint) = self.behind.iter().find_map(candidate)?;
        if !self.chain.settings.budget.withdraw() {
            return None;
        }
        self.retried = true;
        Some(Step { link, after: backoff.jittered().max(hint), may_wait: false })
    }

    /// The link that is usable the soonest, if that is before the deadline.
    fn wait(&self) -> Option<Step> {
        let deadline =
            self.deadline.filter(|_| self.chain.settings.wait_for_key && self.body.is_replayable())?;
        let left = deadline.checked_duration_since(Instant::now())?;
        let wait = |failed: &ProviderFailed| match failed.because {
            LeftBecause::Keys(GaveUp::Exhausted) if failed.probing => Some(Duration::ZERO),
            LeftBecause::Keys(GaveUp::Exhausted) | LeftBecause::BreakerOpen => failed.retry_after,
            _ => None,
        };
        let candidates = self.behind.iter().filter_map(|(link, failed)| Some((wait(failed)?, *link, failed)));
        let (wait, link, failed) = candidates.min_by_key(|(wait, link, _)| (*wait, *link))?;
        let at_keys = failed.because != LeftBecause::BreakerOpen;
        let step = Step { link, after: if at_keys { Duration::ZERO } else { wait }, may_wait: at_keys };
        (wait < left).then_some(step)
    }
}

/// The links from the start on, round to it again; of a pinned request only one.
struct Ahead {
    next: usize,
    left: usize,
    links: usize,
}

impl Ahead {
    fn of<B>(chain: &Chain<B>, pin: Option<&Pin>) -> Self {
        let links = chain.links.len();
        let Some(pin) = pin else { return Self { next: chain.start(), left: links, links } };
        let pinned = chain.links.iter().position(|link| pin.is_to(&link.name));
        Self { next: pinned.unwrap_or_default(), left: pinned.map_or(0, |_| 1), links }
    }
}

impl Iterator for Ahead {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let link = self.next;
        self.next = (link + 1) % self.links;
        Some(link)
    }
}

const fn is_transient(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Overloaded | Reason::ServerError | Reason::Timeout | Reason::Truncated | Reason::Unreachable
    )
}
