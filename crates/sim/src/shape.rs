//! Turns a reply into a response, and spoils it if the fault says so.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use super::body::{SimBody, Step};
use super::fault::SimFault;
use super::reply::{Content, Event, Part, Reply, error_event, refuse};
use super::scene::Scene;
use super::state::Open;

/// Maximum size of a body frame, in bytes, outside of streams.
const FRAME: usize = 64 * 1024;

/// A response that lacks only the guard that its body will hold.
pub(super) struct Shaped {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    steps: Vec<Step>,
    exact: bool,
}

// === impl Shaped ===

impl Shaped {
    /// Applies `fault` to `reply`. `gap` is the time between two events of a stream.
    pub(super) fn new(scene: &Scene<'_>, reply: Reply, fault: Option<&SimFault>, gap: Duration) -> Self {
        let Reply { status, mut headers, content } = reply;
        let at = UNIX_EPOCH + Duration::from_millis(crate::clock::unix_ms(scene.now));
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(at)) {
            headers.insert(DATE, date);
        }
        match content {
            Content::Whole(body) => Self::whole(scene, status, headers, body, fault),
            Content::Stream(events) => {
                let steps = spoiled(scene, events, fault, gap);
                Self { status, headers, steps, exact: false }
            }
        }
    }

    pub(super) fn into_response(self, open: Open) -> Response<SimBody> {
        let mut response = Response::new(SimBody::new(self.steps, self.exact, open));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn whole(
        scene: &Scene<'_>,
        status: StatusCode,
        mut headers: HeaderMap,
        body: Bytes,
        fault: Option<&SimFault>,
    ) -> Self {
        let body = match fault {
            Some(SimFault::ErrorEvent { refusal, .. }) => match refuse(scene, refusal).content {
                Content::Whole(error) => error,
                Content::Stream(_) => body,
            },
            Some(SimFault::Malformed { .. }) => half(&body),
            _ => body,
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let (steps, exact) = match fault {
            Some(SimFault::Cut { reset: true, .. }) => {
                (ended(half(&body), &[Step::Flush, Step::Reset]), false)
            }
            Some(SimFault::Cut { reset: false, .. }) => (ended(half(&body), &[Step::Flush]), false),
            Some(SimFault::Stall { .. }) => (ended(half(&body), &[Step::Hang]), false),
            Some(SimFault::SlowContent(time)) => {
                (std::iter::once(Step::Wait(*time)).chain(frames(body)).collect(), true)
            }
            _ => (ended(body, &[]), true),
        };
        Self { status, headers, steps, exact }
    }
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

fn ended(body: Bytes, end: &[Step]) -> Vec<Step> {
    frames(body).chain(end.iter().cloned()).collect()
}

fn frames(mut body: Bytes) -> impl Iterator<Item = Step> {
    std::iter::from_fn(move || {
        let next = body.split_to(body.len().min(FRAME));
        (!next.is_empty()).then_some(Step::Data(next))
    })
}

/// Returns the steps of a stream, with the fault applied.
fn spoiled(scene: &Scene<'_>, events: Vec<Event>, fault: Option<&SimFault>, gap: Duration) -> Vec<Step> {
    let mut steps = Vec::with_capacity(events.len() + 1);
    let at = fault.and_then(|fault| place(&events, fault));
    for (index, event) in events.into_iter().enumerate() {
        if at == Some(index) && !spoil(scene, fault, &event, &mut steps) {
            return steps;
        }
        if matches!(steps.last(), Some(Step::Data(_))) && !gap.is_zero() {
            steps.push(Step::Wait(gap));
        }
        let dropped = event.part == Part::Terminator && fault == Some(&SimFault::NoTerminator);
        if !dropped {
            steps.push(Step::Data(event.bytes));
        }
    }
    steps
}

/// Returns the index of the event before which the fault strikes: the content event that follows `after`
/// others, or else the first event behind the content.
fn place(events: &[Event], fault: &SimFault) -> Option<usize> {
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

/// Adds the steps of the fault at its place. Returns whether the stream goes on.
fn spoil(scene: &Scene<'_>, fault: Option<&SimFault>, event: &Event, steps: &mut Vec<Step>) -> bool {
    match fault {
        Some(SimFault::SlowContent(time)) => steps.push(Step::Wait(*time)),
        Some(SimFault::Stall { .. }) => steps.push(Step::Hang),
        Some(SimFault::Cut { reset: true, .. }) => steps.extend([Step::Flush, Step::Reset]),
        Some(SimFault::Malformed { .. }) => {
            let broken = event.bytes.slice(..event.bytes.len() / 2);
            steps.push(Step::Data([&broken[..], b"\n\n"].concat().into()));
        }
        Some(SimFault::ErrorEvent { refusal, .. }) => {
            steps.push(Step::Data(error_event(scene, refusal, steps.is_empty()).bytes));
        }
        _ => {}
    }
    matches!(fault, Some(SimFault::SlowContent(_) | SimFault::Malformed { .. }))
}
