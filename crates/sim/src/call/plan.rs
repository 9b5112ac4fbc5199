//! The outcome of a call, decided at once and carried out over time.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::checks::check;
use super::prepared::PreparedResponse;
use crate::error::SimError;
use crate::script::{Refusal, SimFault};
use crate::state::State;
use crate::wire::{ReceivedRequest, Reply, ResponseInput, edge, refuse, respond};

/// The outcome of a call.
pub(super) struct Plan {
    /// Time before the outcome.
    pub(super) delay: Duration,
    pub(super) end: End,
}

/// The end of a call, after its delay.
pub(super) enum End {
    Respond(PreparedResponse),
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
    ) -> (Self, Option<String>, Option<SimFault>) {
        let now = Instant::now();
        state.serial += 1;
        let label = request.secret.as_deref().and_then(|secret| state.label_of(secret));
        let fault = check(state, request, label.as_deref(), too_large, now);
        let (organization, gauges) = state.gauges(label.as_deref(), request.model(), now);
        let input = ResponseInput {
            request,
            organization: &organization,
            gauges,
            serial: state.serial,
            now,
            words: state.words,
        };
        let delay = match &fault {
            Some(SimFault::SlowHead(time)) => *time,
            _ => Duration::ZERO,
        };
        let end = End::of(&input, fault.as_ref(), state.event_gap);
        (Self { delay, end }, label, fault)
    }

    /// Returns the status of the response, if there will be one.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match &self.end {
            End::Respond(response) => Some(response.status),
            End::Fail(_) | End::Silence => None,
        }
    }
}

// === impl End ===

impl End {
    /// Applies `fault`. `event_gap` is the time between two events of a stream.
    fn of(input: &ResponseInput<'_>, fault: Option<&SimFault>, event_gap: Duration) -> Self {
        let reply = match fault {
            Some(SimFault::Reset) => return Self::Fail(SimError::reset()),
            Some(SimFault::Refused) => return Self::Fail(SimError::refused()),
            Some(SimFault::Silent) => return Self::Silence,
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
            Some(_) | None => respond(input),
        };
        Self::Respond(PreparedResponse::new(input, reply, fault, event_gap))
    }
}

fn status_reply(input: &ResponseInput<'_>, status: StatusCode, retry_after: Option<Duration>) -> Reply {
    match Refusal::of_status(status.as_u16(), retry_after) {
        Some(refusal) => Reply { status, ..refuse(input, &refusal) },
        None => edge::page(status),
    }
}
