//! Where the next key comes from.

use std::pin::Pin;

use tokio::time::Instant;

use super::Journey;
use crate::clock::Moment;
use crate::error::GaveUp;
use crate::key::KeyId;
use crate::pool::{Ask, Lease};
use crate::rotate::budget::Ticket;

// === impl Journey ===

impl<B> Journey<B> {
    /// A key that this request has not tried; for a retry, rather the same one than none; and where the request
    /// may wait, whichever is usable first.
    pub(in crate::rotate) async fn next_key(&mut self) -> Result<Lease, GaveUp> {
        let pool = &self.config.pool;
        if pool.knows_models() {
            self.request.model(pool.provider());
        }
        if pool.counts_tokens() {
            self.need = self.request.need(&self.config.estimator);
        }
        let leased = match self.may_wait_until() {
            // Whoever comes first and may wait, waits in line.
            Some(deadline) if self.past.is_none() => self.in_line(deadline).await,
            Some(deadline) => match self.usable_now() {
                None => self.in_line(deadline).await,
                leased => leased,
            },
            None => self.usable_now(),
        };
        if leased.is_some() && self.ticket.as_ref().is_some_and(|ticket| !ticket.take_attempt()) {
            return Err(GaveUp::AttemptLimit);
        }
        leased.ok_or(GaveUp::Exhausted)
    }

    /// In a box, for mostly nobody waits.
    fn in_line(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = Option<Lease>> + Send + '_>> {
        let (pool, ask) = (&self.config.pool, self.ask(&[]));
        Box::pin(async move { pool.acquire_for_within(&ask, deadline).await.ok() })
    }

    fn usable_now(&self) -> Option<Lease> {
        let now = Moment::now();
        let acquire = |tried| self.config.pool.acquire_at(&self.ask(tried), now).ok();
        let Some(past) = self.past.as_deref() else { return acquire(&[]) };
        acquire(&past.tried).or_else(|| past.retrying.then(|| acquire(&[]))?)
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
