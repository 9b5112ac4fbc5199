//! The outcome of a call, decided at once and carried out over time.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::checks::check;
use super::prepared::PreparedResponse;
use crate::answer::SimAnswer;
use crate::error::SimError;
use crate::script::{Refusal, SimFault};
use crate::state::State;
use crate::store::Store;
use crate::wire::{Output, ReceivedRequest, Reply, ResponseInput, SocketSession, edge, refuse, respond};

/// The outcome of a call.
pub(super) struct Plan {
    /// Time before the outcome.
    pub(super) delay: Duration,
    pub(super) end: End,
}

/// The end of a call, after its delay.
pub(super) enum End {
    Respond(PreparedResponse),
    /// Switches to a WebSocket.
    Switch(PreparedResponse, Box<SocketSession>),
    Fail(SimError),
    Silence,
}

// === impl Plan ===

impl Plan {
    /// Decides the call, and takes its share from scripts, limits and credit. Also returns the label of the key
    /// and the fault.
    pub(super) fn decide(
        state: &mut State,
        request: &ReceivedRequest,
        too_large: bool,
        answer: SimAnswer,
    ) -> (Self, Option<String>, Option<SimFault>) {
        let now = Instant::now();
        state.serial += 1;
        let label = request.secret.as_deref().and_then(|secret| state.label_of(secret));
        let fault = check(state, request, label.as_deref(), too_large, now);
        let served = fault.as_ref().is_none_or(SimFault::alters_response);
        let (organization, gauges) = state.gauges(label.as_deref(), request.model(), now);
        let models = state.models.clone();
        let input = ResponseInput {
            request,
            models: &models,
            words: state.words,
            organization: &organization,
            gauges,
            serial: state.serial,
            now,
            output: if served {
                Output::chosen(answer, &request.body, state.words)
            } else {
                Output::none(state.words)
            },
        };
        let delay = match &fault {
            Some(SimFault::SlowHead(time)) => *time,
            _ => Duration::ZERO,
        };
        let event_gap = state.event_gap;
        let mut nothing = Store::default();
        let store = state.key_and_account(label.as_deref()).map(|(_, account)| &mut account.store);
        let (end, refusal) = End::of(&input, fault.as_ref(), event_gap, store.unwrap_or(&mut nothing));
        (Self { delay, end }, label, refusal.map(SimFault::Refuse).or(fault))
    }

    /// Returns the status of the response, if there will be one.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match &self.end {
            End::Respond(response) | End::Switch(response, _) => Some(response.status),
            End::Fail(_) | End::Silence => None,
        }
    }
}

// === impl End ===

impl End {
    /// Applies `fault`. `event_gap` is the time between two events of a stream. Also returns the refusal of a
    /// call that names an object which is not in `store`.
    fn of(
        input: &ResponseInput<'_>,
        fault: Option<&SimFault>,
        event_gap: Duration,
        store: &mut Store,
    ) -> (Self, Option<Refusal>) {
        let reply = match fault {
            Some(SimFault::Reset) => return (Self::Fail(SimError::reset()), None),
            Some(SimFault::Refused) => return (Self::Fail(SimError::refused()), None),
            Some(SimFault::Silent) => return (Self::Silence, None),
            Some(SimFault::Refuse(refusal)) => refuse(input, refusal),
            Some(SimFault::Status { status, retry_after }) => status_reply(input, *status, *retry_after),
            Some(SimFault::Raw { status, headers, body }) => {
                Reply::whole(*status, headers.clone(), body.clone())
            }
            Some(SimFault::Gateway(status)) => edge::page(*status),
            Some(SimFault::Huge(status, bytes)) => edge::huge(*status, *bytes),
            Some(SimFault::Redirect(origin)) => edge::redirect(origin, &input.request.path),
            Some(SimFault::Empty(status)) => edge::empty(*status),
            // All other faults alter the response to a call that passed the limits.
            Some(_) | None => match respond(input, store) {
                Ok(reply) => reply,
                Err(refusal) => {
                    let reply = refuse(input, &refusal);
                    let response = PreparedResponse::new(input, reply, None, event_gap);
                    return (Self::Respond(response), Some(refusal));
                }
            },
        };
        let response = PreparedResponse::new(input, reply, fault, event_gap);
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            return (Self::Switch(response, Box::new(SocketSession::of(input))), None);
        }
        (Self::Respond(response), None)
    }
}

fn status_reply(input: &ResponseInput<'_>, status: StatusCode, retry_after: Option<Duration>) -> Reply {
    match Refusal::of_status(status.as_u16(), retry_after) {
        Some(refusal) => Reply { status, ..refuse(input, &refusal) },
        None => edge::page(status),
    }
}
