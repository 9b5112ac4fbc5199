//! Where the next key comes from.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Moment;
use crate::error::StopReason;
use crate::exchange::future::with_deadline;
use crate::key::KeyId;
use crate::pool::{AcquireRequest, Exhausted, Lease};
use crate::rotate::state::RequestState;

// === impl Journey ===

impl<B> RequestState<B> {
    /// A key that this request has not tried; for a retry, rather the same one than none; and where the request
    /// may wait, whichever is usable first.
    pub(in crate::rotate) async fn next_key(&mut self) -> Result<Lease, StopReason> {
        if self.config.pool.limits_models() {
            self.name_model().await?;
        }
        let pool = &self.config.pool;
        if pool.knows_models() {
            self.request.model(pool.provider());
        }
        if pool.counts_tokens() {
            self.cost = self.request.cost(&self.config.estimator);
        }
        let mut leased = self.lease_now();
        if leased.is_none() {
            leased = self.in_line().await;
        }
        if leased.as_ref().is_some_and(Lease::is_exclusive) && !self.request.upload().has_ended() {
            // Others need the probe: it is not held while a caller takes its time to send the body.
            drop(leased);
            self.arrival().await?;
            leased = self.lease_now();
            if leased.is_none() {
                leased = self.in_line().await;
            }
        }
        if leased.is_none() {
            leased = self.usable_elsewhere();
        }
        match leased {
            Some(_) if self.context.as_ref().is_some_and(|context| !context.take_attempt()) => {
                Err(StopReason::AttemptLimit)
            }
            Some(lease) => Ok(lease),
            None => Err(StopReason::Exhausted),
        }
    }

    /// Takes note of the model, where the pool declares limits for models: a request whose model can't be read is not
    /// sent, since it would take of limits that it is not counted for.
    async fn name_model(&mut self) -> Result<(), StopReason> {
        if self.has_failed() || self.request.known_model().is_some() {
            return Ok(());
        }
        if !self.request.upload().has_ended() {
            self.arrival().await?;
        }
        let is_sure = self.request.name_model(self.config.pool.provider());
        if is_sure { Ok(()) } else { Err(StopReason::UnreadableModel) }
    }

    /// Whether an attempt has failed since the layer was called.
    fn has_failed(&self) -> bool {
        self.failures.as_deref().is_some_and(|failures| !failures.attempts.is_empty())
    }

    /// Leases a key without a wait. A request that comes new and may wait, waits in line.
    fn lease_now(&self) -> Option<Lease> {
        let may_jump = self.may_wait_until().is_none() || self.has_failed();
        may_jump.then(|| self.usable_now())?
    }

    /// Waits until the body is there, or as much of it as can be recorded.
    fn arrival(&self) -> Pin<Box<dyn Future<Output = Result<(), StopReason>> + Send>> {
        let (upload, deadline) = (self.request.upload(), self.own_deadline());
        Box::pin(async move {
            with_deadline(deadline, pin!(upload.record())).await.map_err(|_late| StopReason::Deadline)
        })
    }

    /// The deadline, unless a chain around the layer watches it.
    pub(in crate::rotate) const fn own_deadline(&self) -> Option<Instant> {
        self.watched
    }

    /// Whether the deadline has passed.
    pub(in crate::rotate) fn is_late(&self) -> bool {
        self.watched.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits for a key, if the request may wait. In a box, for most requests do not wait.
    fn in_line(&self) -> Pin<Box<dyn Future<Output = Option<Lease>> + Send + '_>> {
        let refused = self.failures.as_deref().map_or(&[][..], |failures| failures.tried.refused());
        let (pool, ask, until) = (&self.config.pool, self.wanted(refused), self.may_wait_until());
        Box::pin(async move { pool.acquire_by(&ask, until?).await.ok() })
    }

    fn usable_now(&self) -> Option<Lease> {
        let now = Moment::now();
        let acquire = |tried| self.config.pool.acquire_at(&self.wanted(tried), now).ok();
        let Some(failures) = self.failures.as_deref() else { return acquire(&[]) };
        acquire(failures.tried.all())
            .or_else(|| failures.retrying.then(|| acquire(failures.tried.refused()))?)
    }

    /// Whether a key is usable that the request has not tried, and that is not among these.
    pub(in crate::rotate) fn has_another_key(&self, but: &[KeyId]) -> bool {
        let tried = self.failures.as_deref().map_or(&[][..], |failures| failures.tried.all());
        let tried = [tried, but].concat();
        self.config.pool.earliest(&self.wanted(&tried), Moment::now()).is_over()
    }

    /// The time until a key is usable that is worth waiting for, if the wait fits the deadline.
    pub(in crate::rotate) fn wait_for_key(&self, exhausted: &Exhausted) -> Option<Duration> {
        let fits = |deadline| exhausted.wait().ends_by(self.config.pool.latest_start(deadline));
        exhausted.wait().at_least().filter(|_| self.request.deadline().is_none_or(fits))
    }

    /// The time until the last moment at which an attempt can begin and end before the deadline.
    pub(in crate::rotate) fn time_left(&self) -> Option<Duration> {
        let latest = self.config.pool.latest_start(self.request.deadline()?);
        Some(latest.saturating_duration_since(Instant::now()))
    }

    /// A key that is out, but was refused at other endpoints only.
    fn usable_elsewhere(&self) -> Option<Lease> {
        let tried = self.failures.as_deref().map_or(&[][..], |failures| failures.tried.all());
        self.config.pool.probe_at(|| self.request.endpoint(), &self.wanted(tried), Moment::now())
    }

    /// What this request asks of the pool; the keys in `tried` will not do.
    pub(in crate::rotate) fn wanted<'t>(&'t self, tried: &'t [KeyId]) -> AcquireRequest<'t> {
        let (model, session) = (self.request.known_model(), self.request.session());
        let is_repeat = self.failures.as_deref().is_some_and(|failures| failures.is_repeat);
        AcquireRequest { model, session, tried, is_repeat, cost: self.cost }
    }

    /// When waiting for a key has to be over, if the request may wait: a chain says so when no other link is
    /// usable or it is patient, which is once, else the layer's user.
    fn may_wait_until(&self) -> Option<Instant> {
        let longest = match &self.context {
            Some(context) => context.longest_wait(!self.has_failed())?,
            None => Some(Duration::MAX).filter(|_| self.config.wait_for_key)?,
        };
        let fits = self.request.deadline().map(|deadline| self.config.pool.latest_start(deadline));
        let patient = Instant::now().checked_add(longest);
        fits.into_iter().chain(patient).min()
    }
}
