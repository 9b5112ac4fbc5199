//! The outcome of a call: decided at once, carried out over time.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::edge;
use super::error::SimError;
use super::fault::SimFault;
use super::meter::Standing;
use super::refusal::Refusal;
use super::reply::{Reply, answer, refuse};
use super::request::Asked;
use super::scene::Scene;
use super::shape::Shaped;
use super::state::State;

pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) end: End,
}

pub(super) enum End {
    Respond(Shaped),
    Fail(SimError),
    Silence,
}

// === impl Plan ===

impl Plan {
    /// Decides the call, and takes from scripts and limits what it uses. Also returns the label of the key
    /// and the fault.
    pub(super) fn draw(
        state: &mut State,
        asked: &Asked,
        too_large: bool,
    ) -> (Self, Option<String>, Option<SimFault>) {
        let now = Instant::now();
        state.serial += 1;
        let label = asked.secret.as_deref().and_then(|secret| state.label_of(secret));
        let fault = first_fault(state, asked, label.as_deref(), too_large, now);
        let spoils = fault.as_ref().is_none_or(SimFault::spoils);
        let refused = if spoils { admit(state, asked, label.as_deref(), now).err() } else { None };
        let fault = refused.map(SimFault::Refuse).or(fault);

        let (organization, standing) = standing(state, asked, label.as_deref(), now);
        let scene = Scene {
            asked,
            organization: &organization,
            standing,
            serial: state.serial,
            now,
            words: state.words,
        };
        (Self::stage(&scene, fault.as_ref(), state.event_gap), label, fault)
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match &self.end {
            End::Respond(shaped) => Some(shaped.status),
            End::Fail(_) | End::Silence => None,
        }
    }

    fn stage(scene: &Scene<'_>, fault: Option<&SimFault>, gap: Duration) -> Self {
        let delay = match fault {
            Some(SimFault::SlowHead(time)) => *time,
            _ => Duration::ZERO,
        };
        let reply = match fault {
            Some(SimFault::Reset) => return Self { delay, end: End::Fail(SimError::reset()) },
            Some(SimFault::Refused) => return Self { delay, end: End::Fail(SimError::refused()) },
            Some(SimFault::Silent) => return Self { delay, end: End::Silence },
            Some(fault) if !fault.spoils() => replacement(scene, fault),
            _ => answer(scene),
        };
        Self { delay, end: End::Respond(Shaped::new(scene, reply, fault, gap)) }
    }
}

/// Returns the first objection of the scripts, the key and the form of the request, in the order of checks.
/// Without one, returns the fault that spoils the response, if any.
fn first_fault(
    state: &mut State,
    asked: &Asked,
    label: Option<&str>,
    too_large: bool,
    now: Instant,
) -> Option<SimFault> {
    let provider = state.script.draw(now);
    if provider.as_ref().is_some_and(|fault| !fault.spoils()) {
        return provider;
    }
    let missing = if asked.secret.is_some() { Refusal::InvalidKey } else { Refusal::MissingKey };
    let Some(key) = label.and_then(|label| state.key(label)) else {
        return Some(missing.into());
    };
    if key.settings.revoked {
        return Some(Refusal::InvalidKey.into());
    }
    let own = key.settings.script.draw(now);
    if own.as_ref().is_some_and(|fault| !fault.spoils()) {
        return own;
    }
    if too_large {
        return Some(Refusal::TooLarge.into());
    }
    asked.problem().map(SimFault::Refuse).or(provider).or(own)
}

/// Takes what the call costs from both the key and its account. If either refuses, takes nothing from either.
fn admit(state: &mut State, asked: &Asked, label: Option<&str>, now: Instant) -> Result<(), Refusal> {
    let State { keys, accounts, words, .. } = state;
    let key = keys.iter_mut().find(|key| Some(key.settings.label.as_str()) == label);
    let Some(key) = key else { return Ok(()) };
    let Some(account) = accounts.get_mut(&key.settings.account) else { return Ok(()) };

    let model = asked.model();
    let tokens = asked.prompt_tokens + *words as u64;
    if key.settings.forbidden.contains(model) {
        return Err(Refusal::ModelForbidden);
    }
    if account.is_broke() {
        return Err(Refusal::OutOfCredit);
    }
    key.meter.check(model, tokens, now)?;
    account.meter.check(model, tokens, now)?;
    key.meter.charge(model, tokens, now);
    account.meter.charge(model, tokens, now);
    account.pay(tokens);
    Ok(())
}

/// Returns the account's name, and for each limit the tighter gauge of account and key, for headers.
fn standing(state: &mut State, asked: &Asked, label: Option<&str>, now: Instant) -> (String, Standing) {
    let State { keys, accounts, .. } = state;
    let key = keys.iter_mut().find(|key| Some(key.settings.label.as_str()) == label);
    let Some(key) = key else { return ("sim".to_owned(), Standing::default()) };
    let own = key.meter.standing(asked.model(), now);
    let shared = accounts.get_mut(&key.settings.account);
    let shared = shared.map(|account| account.meter.standing(asked.model(), now)).unwrap_or_default();
    (key.settings.account.clone(), shared.tighter(own))
}

fn replacement(scene: &Scene<'_>, fault: &SimFault) -> Reply {
    match fault {
        SimFault::Refuse(refusal) => refuse(scene, refusal),
        SimFault::Status { status, retry_after } => match Refusal::of_status(status.as_u16(), *retry_after) {
            Some(refusal) => Reply { status: *status, ..refuse(scene, &refusal) },
            None => edge::page(*status),
        },
        SimFault::Raw { status, headers, body } => Reply::whole(*status, headers.clone(), body.clone()),
        SimFault::Gateway(status) => edge::page(*status),
        SimFault::Huge(status, bytes) => edge::huge(*status, *bytes),
        SimFault::Redirect(origin) => edge::redirect(origin, &scene.asked.path),
        SimFault::Empty(status) => edge::empty(*status),
        // No other fault gets here: the rest ends without a head, or spoils an earned response.
        _ => edge::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
