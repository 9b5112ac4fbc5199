//! The auth outage detector: probes keys that turned invalid in a burst.
//!
//! One key that turns invalid is a revoked key. If several turn invalid together, the provider, the
//! base URL, a proxy in between, or a request that no key could have served is the likelier cause. A pool
//! that gave up its keys permanently would stay dead after that cause is gone. Such a *burst* is at least two
//! keys, or all keys of the pool: a pool of one key has nothing else to offer. Keys of one closed account count as
//! a single key, not as many.
//!
//! Keys turn invalid together if they do so within a minute, or within ten minutes in which no key serves a request. The
//! longer time is needed because a refusal that nothing confirms counts against a key after a grace period of a minute, which
//! begins with the first refusal of that key (see `standing`). Keys that turned invalid earlier are not part of the
//! burst and stay out.
//!
//! One key of a burst is probed a minute after it: once a minute for as long as no other key is usable, and
//! otherwise at growing intervals, up to 64 minutes. So two keys that really were revoked together cost an
//! occasional refusal and no more. When a probe succeeds, the rest of the burst is probed next.
//!
//! The probe may be refused for a reason of its endpoint. So it begins a round, in which each other endpoint tries the
//! key, too: see [`probe_rounds`](crate::pool::keys::probe_rounds).

use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::acquire::admit::{Admission, admit_early};
use crate::pool::acquire::reserve::offers;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::auth_outage::{Burst, OtherKeys};
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER, State};

/// Looks for a burst, after a key or an account has turned invalid or was freed.
pub(in crate::pool) fn note(set: &KeySet) {
    set.with_latest(|set| set.common.auth_outage.set_burst(latest_burst(set)));
}

/// Admits a probe of one key of the burst, if there is one and a probe is due.
#[inline]
pub(in crate::pool) fn probe(
    set: &KeySet,
    model: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    others: OtherKeys,
    at: Moment,
) -> Option<Admission> {
    if set.common.auth_outage.has_burst() { probe_burst(set, model, request, others, at) } else { None }
}

#[cold]
fn probe_burst(
    set: &KeySet,
    model: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    others: OtherKeys,
    at: Moment,
) -> Option<Admission> {
    let outage = &set.common.auth_outage;
    let (now, last) = (at.as_unix_ms(), outage.last_probe());
    if outage.next_probe(others)? > now {
        return None;
    }
    let first = fastrand::usize(..set.order.len().max(1));
    let keys = set.live().cycle().skip(first).take(set.order.len());
    let keys = keys.map(|key| Candidate::new(set, model, key));
    let mut suspects = keys.filter(|candidate| is_suspect(*candidate, request, at)).peekable();
    suspects.peek()?;
    // The limits of a suspect apply to its probe, too: a refusal because of a limit would prove nothing.
    let is_ours = outage.claim_probe(last, now);
    let admit = |candidate| {
        let level = invalid_at(candidate)?;
        let admitted = admit_early(candidate, level, &request.cost, at)?;
        set.common.probe_rounds.begin(candidate.scope_id(level));
        Some(admitted)
    };
    let admitted = is_ours.then(|| suspects.find_map(admit))??;
    outage.count_probe();
    Some(admitted)
}

/// Returns the time of the next probe that this request may make: a key of the burst has to be one for it.
pub(in crate::pool) fn next_probe(
    set: &KeySet,
    model: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    at: Moment,
) -> Option<u64> {
    let next = set.common.auth_outage.next_probe(OtherKeys::None)?;
    let mut keys = set.live().map(|key| Candidate::new(set, model, key));
    keys.any(|candidate| is_suspect(candidate, request, at)).then_some(next)
}

/// Returns whether a key is one of the burst that may serve the request.
fn is_suspect(candidate: Candidate<'_>, request: &AcquireRequest<'_>, at: Moment) -> bool {
    let may_serve = !candidate.key().is_disabled() && request.allows(candidate.set, candidate.key);
    let burst = candidate.set.common.auth_outage.burst();
    may_serve
        && burst.is_some_and(|burst| is_of(candidate, burst))
        && offers(candidate, &request.cost, at).is_ok()
}

/// Ends the burst after a probe succeeded: its other keys are probed next.
pub(in crate::pool) fn lift(set: &KeySet, now: u64) {
    set.with_latest(|set| lift_all(set, now));
}

fn lift_all(set: &KeySet, now: u64) {
    let burst = set.common.auth_outage.end_burst();
    for key in set.live() {
        let candidate = Candidate::new(set, None, key);
        if let Some(level) =
            invalid_at(candidate).filter(|_| burst.is_some_and(|burst| is_of(candidate, burst)))
        {
            candidate.slot(level).into_iter().for_each(|slot| slot.end_bench(now));
            candidate.sync(level, now);
        }
    }
}

/// Returns the burst of the key that turned invalid last, if it has a second independent key or includes all enabled
/// keys.
fn latest_burst(set: &KeySet) -> Option<Burst> {
    let enabled = || {
        set.live()
            .map(|key| Candidate::new(set, None, key))
            .filter(|candidate| !candidate.key().is_disabled())
    };
    let served = set.live().map(|key| set.keys[key].served.time()).max();
    let latest = Burst::until(enabled().filter_map(invalid_since).max()?, served.unwrap_or_default());
    let of_burst = || enabled().filter(|candidate| is_of(*candidate, latest));
    let mut witnesses: Vec<_> = of_burst()
        .map(|candidate| match invalid_at(candidate) {
            Some(Level::Account) => (Level::Account as usize, candidate.account),
            _ => (Level::Key as usize, candidate.key),
        })
        .collect();
    witnesses.sort_unstable();
    witnesses.dedup();
    (witnesses.len() > 1 || of_burst().count() == enabled().count()).then_some(latest)
}

/// Returns whether the key is one of the burst.
fn is_of(candidate: Candidate<'_>, burst: Burst) -> bool {
    invalid_since(candidate).is_some_and(|since| burst.includes(since))
}

fn invalid_since(candidate: Candidate<'_>) -> Option<u64> {
    Some(candidate.slot(invalid_at(candidate)?)?.since())
}

fn invalid_at(candidate: Candidate<'_>) -> Option<Level> {
    let is_invalid = |level: &Level| {
        matches!(candidate.state(*level), State { cause: Some(Cause::Invalid), until: FOREVER, .. })
    };
    Level::OF_KEY.into_iter().find(is_invalid)
}
