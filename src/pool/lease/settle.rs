//! Settling a lease: all that follows from the result of its attempt, in one line for each result.

use crate::classify::Fault;
use crate::clock::{Moment, Timestamp};
use crate::event::{Kind, Severity};
use crate::pool::Lease;
use crate::pool::acquire::admit::step_off;
use crate::pool::lease::penalty::{Penalty, Target};
use crate::pool::lease::rebind::{rebind_account, scope_of};
use crate::pool::lease::shared_limits::{contradict, report};
use crate::pool::lease::spacing::{cause_of, keep_pace};
use crate::pool::lease::usage_settlement::Tab;
use crate::pool::report::outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER, Pass, State};
use crate::provider::ModelId;

/// Settles a lease with a success. Returns the accounting that stays open until the response body ends.
///
/// The key's own record comes first: from then on, no refusal of an earlier request puts the key out. The
/// probes come before the outage, so that the event that a key has recovered precedes the one that the pool
/// is available. The accounting is opened last, because the lease no longer counts as in flight then. The
/// order of the steps in between makes no difference.
pub(in crate::pool) fn succeed(lease: &mut Lease, now: Timestamp) -> Tab {
    lease.place().key().succeeded(now);
    for level in Level::ALL {
        match lease.passes[level as usize] {
            Pass { probe: true, .. } => recover(lease, level, now),
            Pass { ramp: true, .. } => climb(lease, level, now),
            Pass { .. } => {}
        }
    }
    contradict(lease);
    outage::end(&lease.set, lease.lane.as_deref(), lease.began, now);
    keep_pace(lease);
    lease.set.common.pace.answered(Moment::from(now).saturating_since(lease.began));
    lease.place().key().tally.request(now);
    if let Some(lane) = &lease.lane {
        lane.tally.request(now);
    }
    Tab::of(lease)
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
) -> Option<Penalty> {
    let level = blame(lease, fault, model, now)?;
    let cause = cause_of(lease, fault, now);
    let pass = lease.take(level);
    let target = Target::of(lease, level);
    let benched = target.cool_down(pass, cause, fault.wait(), now);
    if pass.probe {
        lease.set.common.freed.tell();
    }
    lease.place().key().stats.failed();
    let (benched, cause) = benched?;
    report(lease, level, cause, benched.after.until, now);
    target.announce(fault, model, benched.wait(now));
    Some(Penalty { target, benched, at: now })
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
    if !fault.is_ambiguous() {
        lease.set.common.pace.refused(Moment::from(now).saturating_since(lease.began));
        lease.refund();
    }
    if fault.is_of_resource() {
        return None;
    }
    let level = scope_of(lease, fault.scope(), model, now)?;
    prove_valid(lease, Cause::of(fault), now);
    Some(level)
}

/// Frees the key of a suspicion of being invalid: a provider that limits a key has accepted it.
fn prove_valid(lease: &mut Lease, cause: Cause, now: Timestamp) {
    for level in Level::OF_KEY {
        let suspect = lease.place().state(level).cause == Some(Cause::Invalid);
        if cause != Cause::Invalid && suspect && lease.passes[level as usize].probe {
            recover(lease, level, now);
        }
    }
}

/// Ends the cooldown of a scope after its probe succeeded.
fn recover(lease: &mut Lease, level: Level, now: Timestamp) {
    let pass = lease.take(level);
    let place = lease.place();
    // A key that recovers after its burst was lifted says nothing about the other keys of the burst.
    let suspect = matches!(place.state(level), State { cause: Some(Cause::Invalid), until: FOREVER, .. });
    let last = lease.set.common.cooldowns.last_on_ramp();
    let recovered = place.slot(level).and_then(|slot| slot.recover(pass, now.as_unix_ms(), last));
    place.follow(level, now.as_unix_ms());
    let Some(pass) = recovered else { return };
    lease.passes[level as usize] = pass;
    let common = &lease.set.common;
    if suspect {
        common.suspicion.lift(&lease.set, now.as_unix_ms());
    }
    common.freed.tell();
    common.emit(Severity::Change, || Kind::Recovered {
        key: lease.key_id().clone(),
        model: lease.place().model_at(level),
    });
}

/// Ends the place of a lease in a slow start with a success, which doubles the number of places.
fn climb(lease: &mut Lease, level: Level, now: Timestamp) {
    let pass = std::mem::take(&mut lease.passes[level as usize]);
    step_off(lease.place(), level, pass, true, now.as_unix_ms());
    lease.set.common.freed.tell();
}
