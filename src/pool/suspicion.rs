//! When every key looks invalid.
//!
//! One revoked key is revoked. If *all* keys of a pool are refused within a minute, the provider, the base
//! URL or a proxy between is the likelier culprit, and a pool that buried its keys for good would stay
//! dead when the culprit is mended. So such a pool sends one probe a minute; when one gets through, the
//! other keys of that minute are probed on their next turn.

use std::time::Duration;

use super::admit::{Admitted, Passes};
use super::key_set::{KeySet, Level, Place};
use super::models::ModelLane;
use super::slot::{Cause, Pass};
use crate::clock::Timestamp;
use crate::sync::{AtomicU64, Ordering};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Suspicion {
    /// No probe before this, in milliseconds since the Unix epoch.
    next_probe: AtomicU64,
}

impl Suspicion {
    /// The right to probe one of these keys, if all were refused within a minute and a probe is due.
    pub(super) fn probe(
        &self,
        set: &KeySet,
        model: Option<&ModelLane>,
        eligible: impl Fn(&Place<'_>) -> bool,
        now: Timestamp,
    ) -> Option<Admitted> {
        let seen = self.next_probe.load(Ordering::Acquire);
        if self.next_probe(set)? > now.as_unix_ms() {
            return None;
        }
        let next = now.saturating_add(MINUTE).as_unix_ms();
        self.next_probe.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).ok()?;
        let first = fastrand::usize(..set.keys.len());
        let keys = (first..set.keys.len()).chain(0..first);
        keys.map(|key| Place::new(set, model, key))
            .filter(|place| !place.key().is_disabled() && eligible(place))
            .find_map(admit_invalid)
    }

    /// When the next probe is due, in milliseconds since the Unix epoch, if there is reason to suspect.
    pub(super) fn next_probe(&self, set: &KeySet) -> Option<u64> {
        let (earliest, latest) = burst(set)?;
        let minute = MINUTE.as_millis() as u64;
        (latest - earliest <= minute).then(|| (latest + minute).max(self.next_probe.load(Ordering::Acquire)))
    }

    /// A probe got through: whoever was refused in that burst is probed next.
    pub(super) fn lift(set: &KeySet, now: u64) {
        for key in 0..set.keys.len() {
            let place = Place::new(set, None, key);
            if let Some(level) = invalid_at(place) {
                place.slot(level).into_iter().for_each(|slot| slot.end_bench(now));
                place.follow(level, now);
            }
        }
    }
}

/// When the first and the last key turned invalid; `None` unless all that are enabled are.
fn burst(set: &KeySet) -> Option<(u64, u64)> {
    let mut span = None;
    for (key, _) in set.keys.iter().enumerate().filter(|(_, key)| !key.is_disabled()) {
        let place = Place::new(set, None, key);
        let since = place.slot(invalid_at(place)?)?.since();
        let (earliest, latest) = span.unwrap_or((since, since));
        span = Some((since.min(earliest), since.max(latest)));
    }
    span
}

fn invalid_at(place: Place<'_>) -> Option<Level> {
    let invalid = |level: &Level| place.state(*level).cause == Some(Cause::Invalid);
    Level::OF_KEY.into_iter().find(invalid)
}

fn admit_invalid(place: Place<'_>) -> Option<Admitted> {
    let level = invalid_at(place)?;
    let pass: Pass = place.slot(level)?.admit_early()?;
    let mut passes = Passes::default();
    for other in Level::ALL.into_iter().filter(|other| *other != level) {
        passes[other as usize].epoch = place.state(other).epoch;
    }
    passes[level as usize] = pass;
    Some(Admitted::new(place, passes))
}
