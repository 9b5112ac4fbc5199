//! Settling a lease: all that follows from the result of its attempt, in one line for each result.

use crate::classify::Fault;
use crate::clock::{Moment, Timestamp};
use crate::event::{EventKind, Severity};
use crate::pool::Lease;
use crate::pool::acquire::admit::leave_slow_start;
use crate::pool::learn::outage as auth_outage;
use crate::pool::lease::rebind::{rebind_account, scope_of};
use crate::pool::lease::shared_limits::{contradict, report};
use crate::pool::lease::spacing::{cause_of, keep_pace};
use crate::pool::lease::undo::{Target, UndoCooldown};
use crate::pool::lease::usage_settlement::UsageSettlement;
use crate::pool::report::outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER, Permit, State};
use crate::provider::ModelId;

/// Settles a lease with a success. Returns the accounting that stays open until the response body ends.
///
/// The key's own record comes first: from then on, no refusal of an earlier request puts the key out. The
/// probes come before the outage, so that the event that a key has recovered precedes the one that the pool
/// is available. The accounting is opened last, because the lease no longer counts as in flight then. The
/// order of the steps in between makes no difference.
pub(in crate::pool) fn succeed(lease: &mut Lease, now: Timestamp) -> UsageSettlement {
    lease.candidate().key().succeeded(lease.began, now);
    for level in Level::ALL {
        match lease.permits[level as usize] {
            Permit { probe: true, .. } => recover(lease, level, now),
            Permit { ramp: true, .. } => climb(lease, level, now),
            Permit { .. } => {}
        }
    }
    contradict(lease);
    outage::end(&lease.set, lease.model_state.as_deref(), lease.began, now);
    keep_pace(lease, now);
    lease.set.common.latency.answered(Moment::from(now).saturating_since(lease.began));
    lease.candidate().key().usage_counters.request(now);
    if let Some(model_state) = &lease.model_state {
        model_state.usage_counters.request(now);
    }
    UsageSettlement::of(lease)
}

/// Settles a lease with a fault. Returns the cooldown of the scope at fault, if one follows.
///
/// The ledger comes before the cooldown, because it decides the cause: a limit that explains the refusal
/// admits the next requests itself. The detector of shared limits gets the end of the cooldown, so it comes
/// after. The event comes last, so that its receivers find the state that it describes.
pub(in crate::pool) fn fail(
    lease: &mut Lease,
    fault: &Fault,
    model: Option<&ModelId>,
    now: Timestamp,
) -> Option<UndoCooldown> {
    let level = blame(lease, fault, model, now)?;
    let (cause, wait) = cause_of(lease, fault, now);
    let permit = lease.take(level);
    let target = Target::of(lease, level);
    let cooldown = match fault.fixed_wait() {
        Some(wait) => target.cool_down_for(permit, cause, wait, now),
        None => target.cool_down(permit, cause, wait, now),
    };
    lease.candidate().key().stats.failed();
    let (cooldown, cause) = cooldown?;
    report(lease, level, cause, cooldown.after.until, now);
    target.announce(fault, model, cooldown.wait(now));
    Some(UndoCooldown { target, cooldown, at: now })
}

/// Returns the scope that a fault concerns, if it concerns one as a whole, and settles all that follows from
/// any fault.
///
/// The lease moves to the present account of its key first, because the refusal concerns that account, and
/// the refund goes to the account that holds the tokens. A suspicion of being invalid ends before the scope
/// goes into its cooldown, which would otherwise be one more of an invalid key.
pub(in crate::pool) fn blame(
    lease: &mut Lease,
    fault: &Fault,
    model: Option<&ModelId>,
    now: Timestamp,
) -> Option<Level> {
    rebind_account(lease);
    if !fault.may_have_run() {
        lease.set.common.latency.refused(Moment::from(now).saturating_since(lease.began));
        lease.refund();
    }
    if fault.one_resource() {
        return None;
    }
    let level = scope_of(lease, fault.scope(), model, now)?;
    prove_valid(lease, Cause::of(fault), now);
    Some(level)
}

/// Frees the key of a suspicion of being invalid: a provider that limits a key has accepted it.
fn prove_valid(lease: &mut Lease, cause: Cause, now: Timestamp) {
    for level in Level::OF_KEY {
        let suspect = lease.candidate().state(level).cause == Some(Cause::Invalid);
        if cause != Cause::Invalid && suspect && lease.permits[level as usize].probe {
            recover(lease, level, now);
        }
    }
}

/// Ends the cooldown of a scope after its probe succeeded.
fn recover(lease: &mut Lease, level: Level, now: Timestamp) {
    let permit = lease.take(level);
    let candidate = lease.candidate();
    // A key that recovers after its burst was lifted says nothing about the other keys of the burst.
    let suspect = matches!(candidate.state(level), State { cause: Some(Cause::Invalid), until: FOREVER, .. });
    let last = lease.set.common.cooldowns.last_on_ramp();
    let recovered = candidate.slot(level).and_then(|slot| slot.recover(permit, now.as_unix_ms(), last));
    candidate.sync(level, now.as_unix_ms());
    let Some(permit) = recovered else { return };
    lease.permits[level as usize] = permit;
    let common = &lease.set.common;
    if suspect {
        auth_outage::lift(&lease.set, now.as_unix_ms());
    }
    common.released.tell();
    common.emit(Severity::Change, || EventKind::Recovered {
        key: lease.key_id().clone(),
        model: lease.candidate().model_at(level),
    });
}

/// Ends the place of a lease in a slow start with a success, which doubles the number of places.
fn climb(lease: &mut Lease, level: Level, now: Timestamp) {
    let permit = std::mem::take(&mut lease.permits[level as usize]);
    leave_slow_start(lease.candidate(), level, permit, true, now.as_unix_ms());
    lease.set.common.released.tell();
}
