//! Reports of a lease to the detectors of shared limits.

use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::Refusal;
use crate::pool::scope::slot::Cause;

/// Records a success with the detectors, which contradicts the assumption of a shared limit.
pub(in crate::pool) fn contradict(lease: &mut Lease) {
    let canaries = std::mem::take(&mut lease.canaries);
    let mut frees = false;
    for (shared_limit, canary) in lease.candidate().shared_limits().into_iter().flatten().zip(canaries) {
        frees |= shared_limit.succeeded(lease.set.key(), lease.began.as_unix_ms(), canary);
    }
    if frees {
        lease.set.common.released.tell();
    }
}

/// Reports a limit of the account to the detector: it may be a limit of other accounts, too.
pub(in crate::pool) fn report(lease: &mut Lease, level: Level, cause: Cause, until: u64, now: Timestamp) {
    let cause = if cause == Cause::Guessed { Cause::RateLimited } else { cause };
    let limit = matches!(cause, Cause::RateLimited | Cause::QuotaExceeded);
    if !limit || !Level::OF_ACCOUNT.contains(&level) || !lease.candidate().may_be_kin() {
        return;
    }
    let canary = std::mem::take(&mut lease.canaries[usize::from(level.is_model())]);
    let account = &lease.candidate().key().account;
    let refusal = Refusal { home: account.home(), shown: account.shown(), cause, until };
    if let Some(shared_limit) = lease.candidate().shared_limits()[usize::from(level.is_model())] {
        shared_limit.refused(refusal, canary, now.as_unix_ms());
    }
    if canary {
        lease.set.common.released.tell();
    }
}
