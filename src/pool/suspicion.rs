//! When keys look invalid that were fine a minute ago.
//!
//! One revoked key is revoked. If several are refused within a minute, the provider, the base URL, a proxy
//! between or a request that no key could have served is the likelier culprit, and a pool that buried its
//! keys for good would stay dead when the culprit is gone. Such a *burst* is at least two keys, or all
//! there are: a pool of one key has nothing else to offer. What turned invalid earlier is no part of it and
//! stays buried; keys of one account that was closed are one witness, not many.
//!
//! Of a burst one key is probed a minute after it: once a minute for as long as no other key is usable,
//! else at growing intervals, up to an hour, so that two keys that really were revoked together cost a
//! refusal now and then and no more. When a probe gets through, the rest of the burst is probed next.

use std::time::Duration;

use super::Ask;
use super::admit::{Admitted, Passes};
use super::key_set::KeySet;
use super::models::ModelLane;
use super::place::{Level, Place};
use super::slot::{Cause, FOREVER, Pass, State};
use crate::clock::Moment;
use crate::limits::Need;
use crate::sync::{AtomicU64, Ordering};

const MINUTE_MS: u64 = Duration::from_secs(60).as_millis() as u64;
/// The interval is doubled so often: 64 minutes.
const DOUBLINGS: u64 = 6;

#[derive(Default)]
pub(super) struct Suspicion {
    /// When the latest key of the present burst turned invalid, in milliseconds since the Unix epoch; zero:
    /// there is none.
    burst: AtomicU64,
    /// When a probe last went out.
    probed: AtomicU64,
    /// How many have, since the burst.
    probes: AtomicU64,
}

/// Whether other keys are usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Usable,
    None,
}

impl Suspicion {
    /// A key or an account has turned invalid.
    pub(super) fn note(&self, set: &KeySet) {
        let burst = latest_burst(set);
        if self.burst.swap(burst.unwrap_or(0), Ordering::AcqRel) != burst.unwrap_or(0) {
            self.probes.store(0, Ordering::Relaxed);
        }
    }

    /// The right to probe one key of the burst, if that is due.
    pub(super) fn probe(
        &self,
        set: &KeySet,
        model: Option<&ModelLane>,
        ask: &Ask<'_>,
        others: Others,
        at: Moment,
    ) -> Option<Admitted> {
        if self.burst.load(Ordering::Acquire) == 0 {
            return None;
        }
        let now = at.as_unix_ms();
        let probed = self.probed.load(Ordering::Acquire);
        if self.next_probe(others)? > now {
            return None;
        }
        let burst = self.burst.load(Ordering::Acquire);
        let first = fastrand::usize(..set.keys.len());
        let keys = (first..set.keys.len()).chain(0..first).map(|key| Place::new(set, model, key));
        let eligible = |place: &Place<'_>| {
            let may_serve = !place.key().is_disabled() && ask.allows(&place.key().id);
            may_serve && is_of(*place, burst) && place.offers(&ask.need, at).is_ok()
        };
        let mut suspects = keys.filter(eligible).peekable();
        suspects.peek()?;
        self.probed.compare_exchange(probed, now, Ordering::AcqRel, Ordering::Acquire).ok()?;
        let admitted = suspects.find_map(|place| admit_invalid(place, &ask.need, at))?;
        self.probes.fetch_add(1, Ordering::Relaxed);
        Some(admitted)
    }

    /// When the next probe is due, in milliseconds since the Unix epoch, if there is reason to suspect.
    pub(super) fn next_probe(&self, others: Others) -> Option<u64> {
        let burst = self.burst.load(Ordering::Acquire);
        let interval = match others {
            Others::None => MINUTE_MS,
            Others::Usable => MINUTE_MS << self.probes.load(Ordering::Relaxed).min(DOUBLINGS),
        };
        let next = burst.saturating_add(MINUTE_MS);
        (burst != 0).then(|| next.max(self.probed.load(Ordering::Acquire).saturating_add(interval)))
    }

    /// A probe got through: whoever was refused in that burst is probed next.
    pub(super) fn lift(&self, set: &KeySet, now: u64) {
        let burst = self.burst.swap(0, Ordering::AcqRel);
        for key in 0..set.keys.len() {
            let place = Place::new(set, None, key);
            if let Some(level) = buried_at(place).filter(|_| burst != 0 && is_of(place, burst)) {
                place.slot(level).into_iter().for_each(|slot| slot.end_bench(now));
                place.follow(level, now);
            }
        }
    }
}

/// When the latest of the keys turned invalid, if it was not the only one.
fn latest_burst(set: &KeySet) -> Option<u64> {
    let enabled = || {
        (0..set.keys.len()).map(|key| Place::new(set, None, key)).filter(|place| !place.key().is_disabled())
    };
    let latest = enabled().filter_map(buried_since).max()?;
    let of_burst = || enabled().filter(|place| is_of(*place, latest));
    let mut witnesses: Vec<_> = of_burst()
        .map(|place| match buried_at(place) {
            Some(Level::Account) => (Level::Account as usize, place.account),
            _ => (Level::Key as usize, place.key),
        })
        .collect();
    witnesses.sort_unstable();
    witnesses.dedup();
    (witnesses.len() > 1 || of_burst().count() == enabled().count()).then_some(latest)
}

/// Whether the key turned invalid in the minute before.
fn is_of(place: Place<'_>, burst: u64) -> bool {
    buried_since(place).is_some_and(|since| since <= burst && burst - since <= MINUTE_MS)
}

fn buried_since(place: Place<'_>) -> Option<u64> {
    Some(place.slot(buried_at(place)?)?.since())
}

fn buried_at(place: Place<'_>) -> Option<Level> {
    let buried = |level: &Level| {
        matches!(place.state(*level), State { cause: Some(Cause::Invalid), until: FOREVER, .. })
    };
    Level::OF_KEY.into_iter().find(buried)
}

/// Its limits hold for a suspect too: a refusal for one of them would say nothing.
fn admit_invalid(place: Place<'_>, need: &Need, at: Moment) -> Option<Admitted> {
    let level = buried_at(place)?;
    let offers = place.offers(need, at).ok()?;
    let pass: Pass = place.slot(level)?.admit_early()?;
    let mut passes = Passes::default();
    for other in Level::ALL.into_iter().filter(|other| *other != level) {
        passes[other as usize].epoch = place.state(other).epoch;
    }
    passes[level as usize] = pass;
    Some(Admitted { marks: place.take(offers, need, at), ..Admitted::new(place, passes) })
}
