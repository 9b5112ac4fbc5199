//! Reports of a lease to the detectors of shared limits.

use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::Refusal;
use crate::pool::scope::slot::Cause;

impl Lease {
    /// Records a success with the detectors, which contradicts the assumption of a shared limit.
    pub(in crate::pool) fn contradict(&mut self) {
        let trials = std::mem::take(&mut self.trials);
        let mut frees = false;
        for (chorus, trial) in self.place().choruses().into_iter().flatten().zip(trials) {
            frees |= chorus.succeeded(self.set.key(), self.began.as_unix_ms(), trial);
        }
        if frees {
            self.set.common.freed.tell();
        }
    }

    /// Reports a limit of the account to the detector: it may be a limit of other accounts, too.
    pub(in crate::pool) fn join_chorus(&mut self, level: Level, cause: Cause, until: u64, now: Timestamp) {
        let limit = matches!(cause, Cause::RateLimited | Cause::QuotaExceeded);
        if !limit || !Level::OF_ACCOUNT.contains(&level) || !self.place().may_be_kin() {
            return;
        }
        let trial = std::mem::take(&mut self.trials[usize::from(level.is_model())]);
        let account = &self.place().key().account;
        let refusal = Refusal { home: account.home(), shown: account.shown(), cause, until };
        if let Some(chorus) = self.place().choruses()[usize::from(level.is_model())] {
            chorus.refused(refusal, trial, now.as_unix_ms());
        }
        if trial {
            self.set.common.freed.tell();
        }
    }
}
