//! Rebinding: moves a lease to another model or account than it was admitted for.

use std::sync::Arc;

use crate::classify::Scope;
use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::acquire::admit::{Canaries, Permits, hand_back};
use crate::pool::acquire::reserve::{join, part};
use crate::pool::keys::model::ModelState;
use crate::pool::keys::refresh::new_model_state;
use crate::pool::scope::level::Level;
use crate::provider::ModelId;

/// Returns the scope of a fault for this key. Creates the lane of the model if needed.
pub(in crate::pool) fn scope_of(
    lease: &mut Lease,
    scope: Scope,
    model: Option<&ModelId>,
    now: Timestamp,
) -> Option<Level> {
    let level = match scope {
        Scope::Key => Level::Key,
        Scope::Account => Level::Account,
        Scope::KeyModel => model.map_or(Level::Key, |_| Level::KeyModel),
        Scope::AccountModel => model.map_or(Level::Account, |_| Level::AccountModel),
        Scope::None | Scope::Provider | Scope::ProviderModel => return None,
    };
    if let (Level::KeyModel | Level::AccountModel, Some(model)) = (level, model) {
        rebind_model(lease, new_model_state(&lease.set, model, now));
    }
    Some(level)
}

/// Moves the lease to the lane of the model at fault, if it holds another one: the caller did not know
/// the model or named another one, or the lane was forgotten and created again.
pub(in crate::pool) fn rebind_model(lease: &mut Lease, model_state: Arc<ModelState>) {
    if lease.model_state.as_ref().is_some_and(|own| Arc::ptr_eq(own, &model_state)) {
        return;
    }
    let [_, canary] = std::mem::take(&mut lease.canaries);
    hand_back(lease.candidate(), Permits::default(), [false, canary], lease.began.as_unix_ms());
    rebind(lease, Level::OF_MODEL, |lease| lease.model_state = Some(model_state));
}

/// Moves the lease to the present account of its key, which is the one that a refusal concerns.
pub(in crate::pool) fn rebind_account(lease: &mut Lease) {
    if lease.candidate().key().account.present() == lease.account {
        return;
    }
    // Only the latest set is sure to know the account.
    lease.set.catch_up();
    let present = lease.set.present_account(lease.set.key());
    if present != lease.account {
        rebind(lease, Level::OF_ACCOUNT, |lease| lease.account = present);
    }
}

/// Moves the lease from the slots of these scopes to the slots after the change.
fn rebind(lease: &mut Lease, levels: [Level; 2], change: impl FnOnce(&mut Lease)) {
    let began = lease.began.as_unix_ms();
    let mut left = Permits::default();
    for level in levels {
        left[level as usize] = lease.take(level);
    }
    hand_back(lease.candidate(), left, Canaries::default(), began);
    levels.iter().for_each(|level| part(lease.candidate(), *level, &lease.cost, lease.began));
    change(lease);
    lease.checkpoints = None;
    levels.iter().for_each(|level| join(lease.candidate(), *level, &lease.cost, lease.began));
    lease.set.common.released.tell();
    for level in levels {
        let permit = lease.candidate().slot(level).map(|slot| slot.pass_from(began));
        lease.permits[level as usize] = permit.unwrap_or_default();
    }
}
