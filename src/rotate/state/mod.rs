//! What a request has been through, and what comes next.

pub(in crate::rotate) mod acquire;
pub(in crate::rotate) mod deliver;
pub(in crate::rotate) mod failed_attempts;
mod refusal;
mod unserved;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT_ENCODING;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::{EventDialect, ResponseBody, UsageSlot};
use crate::classify::{Fault, Verdict};
use crate::clock::{Moment, Timestamp};
use crate::error::{Error, StopReason};
use crate::event::{EventKind, Severity};
use crate::exchange::context::ChainContext;
use crate::exchange::inspect::Inspector;
use crate::exchange::served::{Attempt, Served};
use crate::limits::Cost;
use crate::pool::{Lease, ProvisionalCooldown, UndoCooldown};
use crate::provider::ModelId;
use crate::rotate::Deadline;
use crate::rotate::attempt::Tried;
use crate::rotate::audit::Audit;
use crate::rotate::layer::Config;
use crate::rotate::policy::{Action, Progress};
use crate::rotate::request::Template;
use crate::rotate::state::deliver::handed_over;
use crate::rotate::state::failed_attempts::FailedAttempts;
use crate::rotate::state::refusal::RefusalKind as Refused;

/// What a request has been through.
pub(super) struct RequestState<B> {
    pub(super) request: Template,
    /// What it takes of the limits.
    cost: Cost,
    config: Arc<Config>,
    /// When the layer itself ends the request.
    watched: Option<Instant>,
    /// What a chain around the layer allows.
    context: Option<ChainContext>,
    /// In a box, for mostly nothing has failed.
    failures: Option<Box<FailedAttempts<B>>>,
}

/// What comes next.
#[expect(clippy::large_enum_variant, reason = "it is handed on at once, and mostly that variant")]
pub(super) enum Next<B> {
    /// The answer is the caller's.
    Deliver(Response<ResponseBody<B>>),
    Rotate,
    Retry(Duration),
    GiveUp(StopReason),
    /// It is nobody's fault but the request's.
    Fail(Error),
}

// === impl Journey ===

impl<B> RequestState<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(config: Arc<Config>, mut parts: Parts) -> Self {
        // What is for this layer would be copied for each attempt.
        let context = parts.extensions.remove::<ChainContext>();
        let callers = parts.extensions.get::<Deadline>().map(|deadline| deadline.instant());
        let own = config.deadline.and_then(|limit| Instant::now().checked_add(limit));
        let deadline = callers.into_iter().chain(own).min();
        // The caller's is watched by a chain around the layer, which drops the future when it passes.
        let watched = deadline.filter(|deadline| context.is_none() || Some(*deadline) != callers);
        if context.is_some() {
            parts.extensions.remove::<Deadline>();
        }
        if !config.keep_accept_encoding {
            parts.headers.remove(ACCEPT_ENCODING);
        }
        let tried = context.as_ref().map(|context| context.tried_at(config.pool.id()));
        let again =
            tried.filter(|tried| !tried.is_empty()).map(|tried| Box::new(FailedAttempts::again(tried)));
        Self {
            request: Template::new(parts, deadline),
            cost: Cost::REQUEST,
            config,
            watched,
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
            // It retries nothing then.
            Some(context) => context.join(),
            None => self.config.policy.begin(),
        }
        self.request.receive(body, self.config.replay_cap).await;
    }

    /// An attempt begins.
    pub(super) fn audit(&self, lease: &Lease) -> Audit {
        Audit::begin(&self.config.pool, lease)
    }

    /// How long the head of a response may take: the shorter limit of the layer and of the chain.
    pub(super) fn head_timeout(&self) -> Option<Duration> {
        let chains = self.context.as_ref().and_then(ChainContext::head_timeout);
        self.config.head_timeout.into_iter().chain(chains).min()
    }

    /// Who looks into answers, as far as the chain allows, or else the layer.
    pub(super) fn inspector<'a, C>(&'a self, classifier: &'a C, lease: &'a Lease) -> Inspector<'a, C> {
        Inspector {
            classifier,
            limits: self.context.as_ref().map_or(&self.config.limits, ChainContext::limits),
            look_into_success: self.config.pool.provider().errors_in_ok_bodies(),
            secret: Some(lease.secret()),
        }
    }

    /// A response can't be judged by more than its status.
    pub(super) fn report_unreadable(&self) {
        self.config.pool.report_unreadable();
    }

    /// Books what an attempt brought, and says what comes next.
    pub(super) fn settle(&mut self, lease: &mut Lease, tried: Tried<B>, audit: Audit) -> Next<B> {
        let head = tried.answer.as_ref().ok().map(|answer| &*answer.head);
        let status = head.map(|head| head.status);
        if let Some(head) = head {
            let model = || self.request.model(self.config.pool.provider()).cloned();
            lease.observe_at(head.status, &head.headers, model, tried.answered);
        } else if let Some(error) = self.request.take_body_error() {
            return Next::Fail(Error::Body(error));
        }
        let named = audit.end(&self.request, lease, &tried.verdict, head);
        let refused = tried.verdict.fault().and_then(|fault| Refused::of(fault, status));
        let action = self.config.policy.decide(&tried.verdict, self.progress(&tried.verdict, refused, lease));
        let (Action::Rotate | Action::Retry(_) | Action::GiveUp(_), Verdict::Fault(fault)) =
            (action, &tried.verdict)
        else {
            return self.deliver(lease, tried, action, named);
        };
        self.record(lease, fault, status);
        let failures = self.failures();
        failures.last = Some(tried.answer);
        failures.retrying = matches!(action, Action::Retry(_));
        match action {
            Action::Retry(wait) => {
                failures.retries += 1;
                self.announce(fault, Some(wait));
                Next::Retry(wait)
            }
            Action::GiveUp(why) => Next::GiveUp(why),
            Action::Rotate | Action::Deliver | Action::Undo => {
                self.announce(fault, None);
                Next::Rotate
            }
        }
    }

    fn progress(&self, verdict: &Verdict, refused: Option<Refused>, lease: &Lease) -> Progress {
        let failures = self.failures.as_deref();
        let fault = verdict.fault();
        let refused = refused.filter(|refused| refused.is_of_error_status());
        let alike =
            |failures: &FailedAttempts<B>| refused.is_some_and(|refused| failures.has_proven(refused));
        Progress {
            attempts: failures.map_or(0, |failures| failures.attempts.len()) + 1,
            in_chain: self.context.is_some(),
            retries: failures.map_or(0, |failures| failures.retries),
            refused_alike: failures.is_some_and(alike) && lease.is_proven(Timestamp::now()),
            replayable: self.request.is_replayable(),
            idempotent: fault.is_some_and(Fault::is_ambiguous) && self.request.is_idempotent(),
            another_key: fault.is_some_and(|fault| fault.scope().is_provider())
                && self.has_another_key(std::slice::from_ref(lease.key_id())),
            time_left: fault.and_then(|_| self.time_left()),
        }
    }

    /// Makes the answer the caller's; an error of the client is none.
    fn deliver(
        &mut self,
        lease: &mut Lease,
        tried: Tried<B>,
        action: Action,
        named: Option<ModelId>,
    ) -> Next<B> {
        let key = lease.key_id().clone();
        let now = Timestamp::from(tried.answered);
        let usage = match tried.verdict {
            Verdict::Success => {
                let named = named.or_else(|| self.request.known_model().cloned());
                UsageSlot::new(lease.succeed_at(now).for_model(named))
            }
            Verdict::Rejected(_) => {
                lease.refund();
                UsageSlot::default()
            }
            Verdict::Fault(_) | Verdict::Inspect => UsageSlot::default(),
        };
        if let Some(failures) = self.failures.as_deref_mut() {
            match &tried.verdict {
                Verdict::Success => failures.confirm(now),
                Verdict::Rejected(_) if tried.answer.is_ok() => failures.confirm_keys(now),
                Verdict::Fault(_) if action == Action::Undo => failures.undo(now),
                _ => {}
            }
        }
        let answer = match tried.answer {
            Ok(answer) => answer,
            error @ Err(_) => {
                self.failures().last = Some(error);
                return Next::GiveUp(StopReason::ProviderFault);
            }
        };
        let served = Served::new(
            self.config.pool.provider().clone(),
            key,
            self.request.known_model().cloned(),
            tried.verdict,
            self.failures.take().map_or_else(Vec::new, |failures| failures.attempts),
            usage,
            lease.began(),
        );
        let (told, rest) = (self.in_band_dialect(), self.rest_limits());
        Next::Deliver(handed_over(answer, served, self.context.as_ref(), told, rest))
    }

    /// The dialect in which a failing stream says so, if it is to.
    fn in_band_dialect(&self) -> Option<EventDialect> {
        let wanted =
            self.config.error_events || self.context.as_ref().is_some_and(ChainContext::error_events);
        wanted.then(|| EventDialect::of_path(self.request.path()))
    }

    fn record(&mut self, lease: &mut Lease, fault: &Fault, status: Option<StatusCode>) {
        let now = Moment::now();
        let (key, refused) = (lease.key_id().clone(), Refused::of(fault, status));
        // A refusal is no success: what is known of the key stays the same.
        let proven = refused.is_some() && lease.is_proven(now.into());
        let endpoint = refused.map(|_| self.request.endpoint());
        let model = self.request.model(self.config.pool.provider());
        let provisional = endpoint
            .and_then(|endpoint| ProvisionalCooldown::raise(lease, fault, model, endpoint, now.into()));
        let (benched, is_out) = match (&provisional, refused) {
            (Some(provisional), _) => (provisional.wait(), true),
            (None, Some(_)) => (None, false),
            (None, None) => {
                let undo = lease.fault_at(fault, model, now.into());
                (undo.as_ref().and_then(UndoCooldown::wait), undo.is_some())
            }
        };
        let attempt = Attempt {
            provider: Arc::from(self.config.pool.provider().name()),
            key: Some(key),
            status,
            fault: fault.clone(),
            benched,
            duration: now.saturating_since(lease.began()),
        };
        let failures = self.failures.get_or_insert_default();
        failures.is_repeat = !is_out;
        failures.add(attempt);
        if let Some(refused) = refused {
            failures.add_refusal(refused, proven, provisional);
        }
        if let Some(context) = &self.context {
            context.remember(self.config.pool.id(), &failures.tried);
        }
    }

    fn failures(&mut self) -> &mut FailedAttempts<B> {
        self.failures.get_or_insert_default()
    }

    fn announce(&self, fault: &Fault, wait: Option<Duration>) {
        let last = self.failures.as_ref().and_then(|failures| failures.attempts.last());
        let Some(key) = last.and_then(|attempt| attempt.key.as_ref()) else { return };
        self.config.pool.emit(Severity::Detail, || EventKind::Rotated {
            key: key.clone(),
            model: self.request.known_model().cloned(),
            reason: fault.reason(),
            scope: fault.scope(),
            wait,
        });
    }
}
