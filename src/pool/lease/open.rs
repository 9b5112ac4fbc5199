//! Opening a lease, when a request has been admitted to a key.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crate::clock::Moment;
use crate::limits::Cost;
use crate::pool::Lease;
use crate::pool::acquire::admit::Admission;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::lease::in_flight::InFlight;

/// Opens the lease of an admitted request. `None` if its key was disabled or removed meanwhile.
#[inline(always)]
pub(in crate::pool) fn open(
    set: Arc<KeySet>,
    model_state: Option<Arc<ModelState>>,
    admitted: Admission,
    cost: Cost,
    now: Moment,
) -> Option<Lease> {
    let set = InFlight::new(set, admitted.key, now.as_unix_ms());
    // The request is counted by now. Either this look sees the switch, or the count shows it.
    if set.keys[set.key()].is_disabled() {
        cancel(set, model_state, admitted, cost, now);
        return None;
    }
    Some(lease(set, model_state, admitted, cost, now))
}

/// Gives back all that the request was admitted to.
#[cold]
fn cancel(set: InFlight, model_state: Option<Arc<ModelState>>, admitted: Admission, cost: Cost, now: Moment) {
    lease(set, model_state, admitted, cost, now).set_unsent();
}

/// Creates the lease of a request that is counted. Inlined, so that it is made where it stays.
#[inline(always)]
fn lease(
    set: InFlight,
    model_state: Option<Arc<ModelState>>,
    admitted: Admission,
    cost: Cost,
    began: Moment,
) -> Lease {
    let Admission { account, permits, canaries, checkpoints, .. } = admitted;
    Lease {
        set,
        model_state,
        account,
        permits,
        canaries,
        cost,
        asked: cost,
        checkpoints,
        began,
        issued: OnceLock::new(),
        stamped: AtomicBool::new(false),
    }
}
