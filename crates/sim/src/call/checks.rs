//! The checks that a call passes, in their order.

use tokio::time::Instant;

use crate::script::{Refusal, SimFault};
use crate::state::State;
use crate::wire::ReceivedRequest;

/// Returns the fault of a call: a refusal, a fault of a script, or `None` if the call is served. Takes from
/// scripts, limits and credit the share of the call.
pub(super) fn check(
    state: &mut State,
    request: &ReceivedRequest,
    label: Option<&str>,
    too_large: bool,
    now: Instant,
) -> Option<SimFault> {
    let fault = first_fault(state, request, label, too_large, now);
    if fault.as_ref().is_some_and(|fault| !fault.alters_response()) {
        return fault;
    }
    match admit(state, request, label, now) {
        Ok(()) => fault,
        Err(refusal) => Some(refusal.into()),
    }
}

/// Returns the first fault that replaces the response: of the scripts, the key or the request itself, in the
/// order of checks. Without one, returns the first fault that alters the response, if any.
fn first_fault(
    state: &mut State,
    request: &ReceivedRequest,
    label: Option<&str>,
    too_large: bool,
    now: Instant,
) -> Option<SimFault> {
    let provider = state.script.next_fault(now);
    if provider.as_ref().is_some_and(|fault| !fault.alters_response()) {
        return provider;
    }
    let missing = if request.secret.is_some() { Refusal::InvalidKey } else { Refusal::MissingKey };
    let Some(key) = label.and_then(|label| state.key(label)) else {
        return Some(missing.into());
    };
    if key.settings.revoked {
        return Some(Refusal::InvalidKey.into());
    }
    let own = key.settings.script.next_fault(now);
    if own.as_ref().is_some_and(|fault| !fault.alters_response()) {
        return own;
    }
    if too_large {
        return Some(Refusal::TooLarge.into());
    }
    let wrong = request.error().or_else(|| unknown_model(state, request));
    wrong.map(SimFault::Refuse).or(provider).or(own)
}

/// Returns the refusal of a model that the provider does not have.
fn unknown_model(state: &State, request: &ReceivedRequest) -> Option<Refusal> {
    let model = request.fields.model.as_deref()?;
    let known = if request.looks_up_model() { state.models.lists(model) } else { state.models.serves(model) };
    (!known).then_some(Refusal::ModelNotFound)
}

/// Takes the cost of the call from the limits of the key, and from the limits and the credit of its account.
/// If one of them refuses, takes nothing.
fn admit(
    state: &mut State,
    request: &ReceivedRequest,
    label: Option<&str>,
    now: Instant,
) -> Result<(), Refusal> {
    let tokens = request.prompt_tokens + state.words as u64;
    let Some((key, account)) = state.key_and_account(label) else { return Ok(()) };
    let model = request.model();
    if key.settings.forbidden.contains(model) {
        return Err(Refusal::ModelForbidden);
    }
    if account.is_out_of_credit() {
        return Err(Refusal::OutOfCredit);
    }
    key.meter.check(model, tokens, now)?;
    account.meter.check(model, tokens, now)?;
    key.meter.charge(model, tokens, now);
    account.meter.charge(model, tokens, now);
    account.pay(tokens);
    Ok(())
}
