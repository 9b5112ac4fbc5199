//! Where the next key comes from.

use std::pin::{Pin, pin};

use tokio::time::Instant;

use super::Journey;
use crate::clock::Moment;
use crate::error::GaveUp;
use crate::future::before;
use crate::key::KeyId;
use crate::pool::{Ask, Lease};
use crate::rotate::budget::Ticket;

// === impl Journey ===

impl<B> Journey<B> {
    /// A key that this request has not tried; for a retry, rather the same one than none; and where the request
    /// may wait, whichever is usable first.
    pub(in crate::rotate) async fn next_key(&mut self) -> Result<Lease, GaveUp> {
        if self.config.pool.limits_models() {
            self.name_model().await?;
        }
        let pool = &self.config.pool;
        if pool.knows_models() {
            self.request.model(pool.provider());
        }
        if pool.counts_tokens() {
            self.need = self.request.need(&self.config.estimator);
        }
        let mut leased = self.lease().await;
        if leased.as_ref().is_some_and(Lease::is_narrow) && !self.request.upload().has_ended() {
            // Others need the probe: it is not held while a caller takes its time to send the body.
            drop(leased);
            self.arrival().await?;
            leased = self.lease().await;
        }
        let leased = leased.or_else(|| self.usable_elsewhere());
        if leased.is_some() && self.ticket.as_ref().is_some_and(|ticket| !ticket.take_attempt()) {
            return Err(GaveUp::AttemptLimit);
        }
        leased.ok_or(GaveUp::Exhausted)
    }

    /// Takes note of the model, where the pool declares limits for models: a request whose model can't be read is not
    /// sent, since it would take of limits that it is not counted for.
    async fn name_model(&mut self) -> Result<(), GaveUp> {
        if self.past.is_some() || self.request.known_model().is_some() {
            return Ok(());
        }
        if !self.request.upload().has_ended() {
            self.arrival().await?;
        }
        let is_sure = self.request.name_model(self.config.pool.provider());
        if is_sure { Ok(()) } else { Err(GaveUp::UnreadableModel) }
    }

    async fn lease(&mut self) -> Option<Lease> {
        match self.may_wait_until() {
            // Whoever comes first and may wait, waits in line.
            Some(deadline) if self.past.is_none() => self.in_line(deadline).await,
            Some(deadline) => match self.usable_now() {
                None => self.in_line(deadline).await,
                leased => leased,
            },
            None => self.usable_now(),
        }
    }

    /// Waits until the body is there, or as much of it as can be recorded.
    fn arrival(&self) -> Pin<Box<dyn Future<Output = Result<(), GaveUp>> + Send>> {
        let (upload, deadline) = (self.request.upload(), self.own_deadline());
        Box::pin(
            async move { before(deadline, pin!(upload.record())).await.map_err(|_late| GaveUp::Deadline) },
        )
    }

    /// The deadline, unless a chain around the layer watches it.
    pub(in crate::rotate) const fn own_deadline(&self) -> Option<Instant> {
        self.watched
    }

    /// In a box, for mostly nobody waits.
    fn in_line(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = Option<Lease>> + Send + '_>> {
        let refused = self.past.as_deref().map_or(&[][..], |past| &past.refused);
        let (pool, ask) = (&self.config.pool, self.ask(refused));
        Box::pin(async move { pool.acquire_for_within(&ask, deadline).await.ok() })
    }

    fn usable_now(&self) -> Option<Lease> {
        let now = Moment::now();
        let acquire = |tried| self.config.pool.acquire_at(&self.ask(tried), now).ok();
        let Some(past) = self.past.as_deref() else { return acquire(&[]) };
        acquire(&past.tried).or_else(|| past.retrying.then(|| acquire(&past.refused))?)
    }

    /// A key that is out, but was refused at other endpoints only.
    fn usable_elsewhere(&self) -> Option<Lease> {
        let tried = self.past.as_deref().map_or(&[][..], |past| &past.tried);
        self.config.pool.probe_at(|| self.request.endpoint(), &self.ask(tried), Moment::now())
    }

    /// What this request asks of the pool; the keys in `tried` will not do.
    pub(super) fn ask<'t>(&'t self, tried: &'t [KeyId]) -> Ask<'t> {
        let (model, session) = (self.request.known_model(), self.request.session());
        Ask { model, session, tried, need: self.need }
    }

    /// The deadline, if it is right to wait: a chain says so when no other link is usable, else the layer's user.
    fn may_wait_until(&self) -> Option<Instant> {
        let may_wait = self.ticket.as_ref().map_or(self.config.wait_for_key, Ticket::may_wait);
        self.request.deadline().filter(|_| may_wait)
    }
}
