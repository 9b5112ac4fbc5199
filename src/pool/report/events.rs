//! Events of the pool.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::classify::{Fault, Reason};
use crate::event::{Kind, Severity};
use crate::limits::{Alarm, Counted, Reading};
use crate::pool::keys::candidate::Place;
use crate::pool::lease::penalty::Target;
use crate::pool::scope::level::Level;
use crate::pool::{KeyPool, Lease};
use crate::provider::ModelId;

impl KeyPool {
    /// Warns that a response has an encoding that can't be read. Emitted once for each pool.
    pub(crate) fn say_unreadable(&self) {
        let common = &self.0.common;
        if !common.said_unreadable.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "tower_key_rotation",
                provider = common.provider.name(),
                "a response is compressed and can't be judged: enable the feature `decompress`, or put a \
                 decompression layer inside the rotation layer"
            );
        }
    }
}

impl Place<'_> {
    /// Emits a warning for each threshold that was crossed.
    pub(in crate::pool) fn warn(self, alarms: &[(Level, Alarm)]) {
        alarms.iter().for_each(|(level, alarm)| self.warn_of(*level, alarm));
    }

    fn warn_of(self, level: Level, alarm: &Alarm) {
        let Reading { counted, window, limit, remaining, full_at, .. } = alarm.reading;
        let Counted::Of(dimension) = counted else { return };
        self.set.common.emit(Severity::Alarm, || Kind::QuotaWarning {
            key: Some(self.key().id.clone()),
            account: self.set.accounts[self.account].id.clone(),
            model: self.model_at(level),
            dimension,
            window,
            used: alarm.reading.used_share(),
            threshold: alarm.share,
            remaining: Some(remaining),
            limit: Some(limit),
            resets_at: full_at,
        });
    }

    /// Returns the model, for the scopes of a model.
    fn model_at(self, level: Level) -> Option<ModelId> {
        self.model.filter(|_| level.is_model()).map(|lane| lane.model.clone())
    }
}

impl Lease {
    /// Emits the event that a probe succeeded.
    pub(in crate::pool) fn announce_recovery(&self, level: Level) {
        self.set.common.emit(Severity::Change, || Kind::Recovered {
            key: self.key_id().clone(),
            model: self.place().model_at(level),
        });
    }
}

impl Target {
    /// Emits the event that a fault has put the scope into a cooldown.
    pub(in crate::pool) fn announce(&self, fault: &Fault, model: Option<&ModelId>, wait: Option<Duration>) {
        let (reason, scope, common) = (fault.reason(), fault.scope(), &self.set.common);
        let key = || self.place().key().id.clone();
        match reason {
            Reason::InvalidKey => common.emit(Severity::Alarm, || Kind::InvalidKey { key: key(), scope }),
            _ => common.emit(Severity::Change, || {
                let (model, hint) = (model.cloned(), fault.wait());
                Kind::CooledDown { key: key(), model, reason, scope, wait, hint }
            }),
        }
    }
}
