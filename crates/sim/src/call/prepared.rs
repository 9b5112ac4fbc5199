//! Turns a reply into a response, and applies a fault that alters it.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use http::{HeaderMap, Response, StatusCode, response};

use super::body::{BodyStep, SimBody};
use super::in_flight::InFlight;
use crate::clock::unix_ms;
use crate::script::SimFault;
use crate::wire::{Content, Event, Part, Reply, ResponseInput, error_event, refuse};

/// Maximum size of a body frame, in bytes, outside of streams.
const FRAME: usize = 64 * 1024;

/// A response whose body still lacks the guard of its call.
pub(super) struct PreparedResponse {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    steps: Vec<BodyStep>,
    exact: bool,
}

// === impl PreparedResponse ===

impl PreparedResponse {
    /// Applies `fault` to `reply`. `event_gap` is the time between two events of a stream.
    pub(super) fn new(
        input: &ResponseInput<'_>,
        reply: Reply,
        fault: Option<&SimFault>,
        event_gap: Duration,
    ) -> Self {
        let Reply { status, mut headers, content } = reply;
        let at = UNIX_EPOCH + Duration::from_millis(unix_ms(input.now));
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(at)) {
            headers.insert(DATE, date);
        }
        match content {
            Content::Whole(body) => Self::whole(input, status, headers, body, fault),
            Content::Stream(events) => {
                let steps = stream_steps(input, events, fault, event_gap);
                Self { status, headers, steps, exact: false }
            }
        }
    }

    pub(super) fn into_response(self, in_flight: InFlight) -> Response<SimBody> {
        let mut response = Response::new(SimBody::new(self.steps, self.exact, in_flight));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// Returns the head of a response without a body.
    pub(super) fn into_head(self) -> response::Parts {
        let (mut head, ()) = Response::new(()).into_parts();
        (head.status, head.headers) = (self.status, self.headers);
        head.headers.remove(CONTENT_LENGTH);
        head
    }

    fn whole(
        input: &ResponseInput<'_>,
        status: StatusCode,
        mut headers: HeaderMap,
        body: Bytes,
        fault: Option<&SimFault>,
    ) -> Self {
        let body = match fault {
            Some(SimFault::ErrorEvent { refusal, .. }) => match refuse(input, refusal).content {
                Content::Whole(error) => error,
                Content::Stream(_) => body,
            },
            Some(SimFault::Malformed { .. }) => half(&body),
            _ => body,
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let (steps, exact) = match fault {
            Some(SimFault::Cut { reset: true, .. }) => {
                (ended(half(&body), &[BodyStep::Flush, BodyStep::Reset]), false)
            }
            Some(SimFault::Cut { reset: false, .. }) => (ended(half(&body), &[BodyStep::Flush]), false),
            Some(SimFault::Stall { .. }) => (ended(half(&body), &[BodyStep::Hang]), false),
            Some(SimFault::SlowContent(time)) => {
                (std::iter::once(BodyStep::Wait(*time)).chain(frames(body)).collect(), true)
            }
            _ => (ended(body, &[]), true),
        };
        Self { status, headers, steps, exact }
    }
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

fn ended(body: Bytes, end: &[BodyStep]) -> Vec<BodyStep> {
    frames(body).chain(end.iter().cloned()).collect()
}

fn frames(mut body: Bytes) -> impl Iterator<Item = BodyStep> {
    std::iter::from_fn(move || {
        let next = body.split_to(body.len().min(FRAME));
        (!next.is_empty()).then_some(BodyStep::Data(next))
    })
}

/// Returns the steps of a stream, with the fault applied.
fn stream_steps(
    input: &ResponseInput<'_>,
    events: Vec<Event>,
    fault: Option<&SimFault>,
    event_gap: Duration,
) -> Vec<BodyStep> {
    let mut steps = Vec::with_capacity(events.len() + 1);
    let fault_at = fault.and_then(|fault| fault_index(&events, fault));
    for (index, event) in events.into_iter().enumerate() {
        if fault_at == Some(index) && !push_fault(input, fault, &event, &mut steps) {
            return steps;
        }
        if matches!(steps.last(), Some(BodyStep::Data(_))) && !event_gap.is_zero() {
            steps.push(BodyStep::Wait(event_gap));
        }
        let dropped = event.part == Part::Terminator && fault == Some(&SimFault::NoTerminator);
        if !dropped {
            steps.push(BodyStep::Data(event.bytes));
        }
    }
    steps
}

/// Returns the index of the event before which the fault takes effect: the content event that follows `after`
/// others, or else the first event behind the content.
fn fault_index(events: &[Event], fault: &SimFault) -> Option<usize> {
    let after = match fault {
        SimFault::SlowContent(_) => 0,
        SimFault::Stall { after }
        | SimFault::Cut { after, .. }
        | SimFault::Malformed { after }
        | SimFault::ErrorEvent { after, .. } => *after,
        _ => return None,
    };
    let content = |part| part == Part::Content;
    let nth = events.iter().enumerate().filter(|(_, event)| content(event.part)).nth(after);
    let closing = || events.iter().position(|event| matches!(event.part, Part::Closing | Part::Terminator));
    nth.map(|(index, _)| index).or_else(closing)
}

/// Adds the steps of the fault in its place before `event`. Returns whether the stream goes on.
fn push_fault(
    input: &ResponseInput<'_>,
    fault: Option<&SimFault>,
    event: &Event,
    steps: &mut Vec<BodyStep>,
) -> bool {
    match fault {
        Some(SimFault::SlowContent(time)) => steps.push(BodyStep::Wait(*time)),
        Some(SimFault::Stall { .. }) => steps.push(BodyStep::Hang),
        Some(SimFault::Cut { reset: true, .. }) => steps.extend([BodyStep::Flush, BodyStep::Reset]),
        Some(SimFault::Malformed { .. }) => {
            let broken = event.bytes.slice(..event.bytes.len() / 2);
            steps.push(BodyStep::Data([&broken[..], b"\n\n"].concat().into()));
        }
        Some(SimFault::ErrorEvent { refusal, .. }) => {
            steps.push(BodyStep::Data(error_event(input, refusal, steps.is_empty()).bytes));
        }
        _ => {}
    }
    matches!(fault, Some(SimFault::SlowContent(_) | SimFault::Malformed { .. }))
}
