//! Reports of a lease to the detectors of shared limits.

use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::Refusal;
use crate::pool::scope::slot::Cause;

/// Records a success with the detectors, which contradicts the assumption of a shared limit.
pub(in crate::pool) fn contradict(lease: &mut Lease) {
    let trials = std::mem::take(&mut lease.trials);
    let mut frees = false;
    for (chorus, trial) in lease.place().choruses().into_iter().flatten().zip(trials) {
        frees |= chorus.succeeded(lease.set.key(), lease.began.as_unix_ms(), trial);
    }
    if frees {
        lease.set.common.freed.tell();
    }
}

/// Reports a limit of the account to the detector: it may be a limit of other accounts, too.
pub(in crate::pool) fn report(lease: &mut Lease, level: Level, cause: Cause, until: u64, now: Timestamp) {
    let limit = matches!(cause, Cause::RateLimited | Cause::QuotaExceeded);
    if !limit || !Level::OF_ACCOUNT.contains(&level) || !lease.place().may_be_kin() {
        return;
    }
    let trial = std::mem::take(&mut lease.trials[usize::from(level.is_model())]);
    let account = &lease.place().key().account;
    let refusal = Refusal { home: account.home(), shown: account.shown(), cause, until };
    if let Some(chorus) = lease.place().choruses()[usize::from(level.is_model())] {
        chorus.refused(refusal, trial, now.as_unix_ms());
    }
    if trial {
        lease.set.common.freed.tell();
    }
}
