//! Observation: the information about a key in the head of its response, success or refusal.

use http::{HeaderMap, StatusCode};

use crate::clock::Moment;
use crate::limits::Observed;
use crate::pool::Lease;
use crate::pool::keys::refresh::new_model_state;
use crate::pool::keys::warnings::warn;
use crate::pool::learn::accounts::learn;
use crate::pool::lease::rebind::{rebind_account, rebind_model};
use crate::provider::{Limit, ModelId};

/// Records the head of a response. `model` is called only if the response reports limits.
pub(in crate::pool) fn observe(
    lease: &mut Lease,
    status: StatusCode,
    headers: &HeaderMap,
    model: impl FnOnce() -> Option<ModelId>,
    answered: Moment,
) {
    let provider = &lease.set.common.provider;
    if let Some(shown) = provider.account_in(headers) {
        learn(&lease.set, lease.set.key(), shown);
    }
    let limits = provider.telling_limits(headers, answered.into());
    if limits.is_empty() {
        return;
    }
    rebind_account(lease);
    if lease.model_state.is_none()
        && let Some(model) = model()
    {
        rebind_model(lease, new_model_state(&lease.set, &model, answered.into()));
    }
    book(lease, &limits, status.is_success(), answered);
}

fn book(lease: &Lease, limits: &[Limit], admitted: bool, answered: Moment) {
    let set = &lease.set;
    let resets_mean_full = set.common.provider.resets_mean_full();
    let candidate = lease.candidate();
    let observed = Observed { limits, resets_mean_full, admitted, sent: lease.began, answered };
    let mut alarms = Vec::new();
    let tell = |alarm| alarms.push((candidate.home(), alarm));
    let is_open =
        candidate.learning().observe(lease.checkpoints.as_ref(), &observed, &set.common.warn_at, tell);
    set.common.saw_limits(limits);
    // A thread that clears ready bits for a used-up limit asks the ledger again afterwards, and the
    // ledger admits one thread at a time. So either that look comes later than this update, or the
    // cleared bits are visible here.
    if !is_open || !candidate.shows_account() {
        candidate.sync(candidate.home(), answered.as_unix_ms());
    }
    set.common.released.tell();
    warn(candidate, &alarms);
}
