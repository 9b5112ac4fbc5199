//! Refusals with a short wait, a rounded wait, or none: a known limit, or an interval that has to be found.
//!
//! If a known limit explains a refusal, its ledger admits the waiting requests one by one, and nothing has to
//! recover. If no limit explains it, reported limits are not trusted: the ledger spaces requests, and the
//! scope is probed by one request until that is served.

use std::time::Duration;

use crate::classify::{Fault, Reason};
use crate::clock::{Moment, Timestamp};
use crate::limits::{Pacing, ROUNDED, Refused};
use crate::pool::Lease;
use crate::pool::scope::slot::Cause;

/// Returns the cause and the wait of the cooldown that a fault puts a scope into. Records the refusal in the
/// ledger, if the provider stated no wait, or a short one.
pub(in crate::pool) fn cause_of(lease: &Lease, fault: &Fault, now: Timestamp) -> (Cause, Option<Duration>) {
    let (cause, stated) = (Cause::of(fault), fault.retry_after());
    match pacing(lease, fault, now) {
        Some(Pacing::Paced(wait)) => (Cause::Paced, Some(wait)),
        Some(Pacing::Guessed(wait)) => (Cause::Guessed, Some(wait)),
        Some(Pacing::Stated | Pacing::Unknown) | None => (cause, stated),
    }
}

fn pacing(lease: &Lease, fault: &Fault, now: Timestamp) -> Option<Pacing> {
    let stated = fault.retry_after();
    let is_short = stated.is_none_or(|wait| wait <= ROUNDED);
    let is_limit = fault.reason() == Reason::RateLimited;
    if !is_short || !is_limit || fault.fixed_wait().is_some() || lease.set.common.cooldowns.is_fixed() {
        return None;
    }
    let candidate = lease.candidate();
    let key = candidate.key().served.cadence(lease.began, now.as_unix_ms());
    let is_known = stated.is_some_and(|wait| wait < ROUNDED) || key.latest.is_some();
    if !is_known && candidate.ledger(candidate.home()).is_none() {
        return None;
    }
    let (sent, answered) = (lease.began, Moment::from(now));
    let checkpoints = lease.checkpoints.as_ref();
    let pacing = candidate.learning().refused(&Refused {
        cost: &lease.asked,
        checkpoints,
        sent,
        answered,
        stated,
        key,
    });
    candidate.sync(candidate.home(), now.as_unix_ms());
    Some(pacing)
}

/// Records a success: the evidence of an interval, which may be shorter than thought.
pub(in crate::pool) fn keep_pace(lease: &Lease, now: Timestamp) {
    let candidate = lease.candidate();
    if let Some(checkpoints) = lease.checkpoints.as_ref().filter(|checkpoints| checkpoints.are_in_search())
        && let Some(ledger) = candidate.ledger(candidate.home())
    {
        ledger.served(checkpoints, lease.began, now.into());
    }
}
