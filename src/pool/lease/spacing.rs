//! Short waits: a known limit, or a rate that has to be found.
//!
//! If a known limit explains a refusal, its ledger admits the waiting requests one by one, and nothing has to
//! recover. If no limit explains it, reported limits are not trusted: the ledger spaces requests, and the
//! scope is probed by one request until that is served.

use crate::classify::Fault;
use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::scope::slot::Cause;

/// Returns the cause of the cooldown that a fault puts a scope into. Records a refusal with a short wait
/// in the ledger.
pub(in crate::pool) fn cause_of(lease: &Lease, fault: &Fault, now: Timestamp) -> Cause {
    let cause = Cause::of(fault);
    let brief = fault.wait().filter(|wait| lease.set.common.cooldowns.is_brief(*wait));
    let Some(wait) = brief.filter(|_| cause == Cause::RateLimited) else { return cause };
    let candidate = lease.candidate();
    let sent = (&lease.asked, lease.checkpoints.as_ref());
    let is_explained = candidate.learning().refused(sent, wait, (lease.began, now.into()));
    candidate.sync(candidate.home(), now.as_unix_ms());
    if is_explained { Cause::Paced } else { cause }
}

/// Records a success: limits that admitted the request just in time may be used more closely.
pub(in crate::pool) fn keep_pace(lease: &Lease) {
    let candidate = lease.candidate();
    if let Some(checkpoints) = lease.checkpoints.as_ref().filter(|checkpoints| checkpoints.are_close())
        && let Some(ledger) = candidate.ledger(candidate.home())
    {
        ledger.served(checkpoints);
    }
}
