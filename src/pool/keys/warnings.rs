//! Warnings: a candidate has used a large fraction of a limit.

use crate::event::{EventKind, Severity};
use crate::limits::{Alarm, LimitStatus, Metric};
use crate::pool::keys::candidate::Candidate;
use crate::pool::scope::level::Level;

/// Emits a warning for each threshold that was crossed, at the scope whose limit it is.
pub(in crate::pool) fn warn(candidate: Candidate<'_>, alarms: &[(Level, Alarm)]) {
    alarms.iter().for_each(|(level, alarm)| warn_of(candidate, *level, alarm));
}

fn warn_of(candidate: Candidate<'_>, level: Level, alarm: &Alarm) {
    let LimitStatus { metric, window, limit, remaining, full_at, .. } = alarm.status;
    let Metric::Of(dimension) = metric else { return };
    candidate.set.common.emit(Severity::Alarm, || EventKind::QuotaWarning {
        key: Some(candidate.key().id.clone()),
        account: candidate.set.accounts[candidate.account].id.clone(),
        model: candidate.model_at(level),
        dimension,
        window,
        used: alarm.status.used_share(),
        threshold: alarm.share,
        remaining: Some(remaining),
        limit: Some(limit),
        resets_at: full_at,
    });
}
