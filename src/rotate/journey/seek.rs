//! Where the next key comes from.

use std::pin::Pin;

use tokio::time::Instant;

use super::Journey;
use crate::error::GaveUp;
use crate::key::KeyId;
use crate::pool::{Ask, Lease};
use crate::rotate::budget::Ticket;

/// A key, and since when the request has it.
type Leased = (Lease, Instant);

// === impl Journey ===

impl<B> Journey<B> {
    /// A key that this request has not tried, and since when it has it; for a retry, rather the same one than
    /// none; and where the request may wait, whichever is usable first.
    pub(in crate::rotate) async fn next_key(&mut self) -> Result<Leased, GaveUp> {
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
        let leased = leased.ok_or(GaveUp::Exhausted)?;
        match &self.ticket {
            Some(ticket) if !ticket.take_attempt() => Err(GaveUp::AttemptLimit),
            _ => Ok(leased),
        }
    }

    /// In a box, for mostly nobody waits.
    fn in_line(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = Option<Leased>> + Send + '_>> {
        let (pool, ask) = (&self.config.pool, self.ask(&[]));
        Box::pin(async move {
            let lease = pool.acquire_for_within(&ask, deadline).await.ok()?;
            Some((lease, Instant::now()))
        })
    }

    fn usable_now(&self) -> Option<Leased> {
        let (pool, now) = (&self.config.pool, Instant::now());
        let acquire = |tried| pool.acquire_at(&self.ask(tried), now.into());
        let past = self.past.as_deref();
        let untried = acquire(past.map_or(&[], |past| &past.tried));
        let again = || past?.retrying.then(|| acquire(&[]).ok())?;
        untried.ok().or_else(again).map(|lease| (lease, now))
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
