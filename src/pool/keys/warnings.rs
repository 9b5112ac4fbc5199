//! Warnings: a candidate has used a large fraction of a limit.

use crate::event::{Kind, Severity};
use crate::limits::{Alarm, Counted, Reading};
use crate::pool::keys::candidate::Place;
use crate::pool::scope::level::Level;

/// Emits a warning for each threshold that was crossed, at the scope whose limit it is.
pub(in crate::pool) fn warn(place: Place<'_>, alarms: &[(Level, Alarm)]) {
    alarms.iter().for_each(|(level, alarm)| warn_of(place, *level, alarm));
}

fn warn_of(place: Place<'_>, level: Level, alarm: &Alarm) {
    let Reading { counted, window, limit, remaining, full_at, .. } = alarm.reading;
    let Counted::Of(dimension) = counted else { return };
    place.set.common.emit(Severity::Alarm, || Kind::QuotaWarning {
        key: Some(place.key().id.clone()),
        account: place.set.accounts[place.account].id.clone(),
        model: place.model_at(level),
        dimension,
        window,
        used: alarm.reading.used_share(),
        threshold: alarm.share,
        remaining: Some(remaining),
        limit: Some(limit),
        resets_at: full_at,
    });
}
