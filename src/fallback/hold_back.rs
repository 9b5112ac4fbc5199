//! Responses that a chain reads to the end before it commits to them.
//!
//! The caller of a response that is not streamed waits for the whole of it anyway. So a chain reads it first. If it
//! breaks, stalls or does not parse, the chain moves on to another link, which costs the caller no additional wait.
//! A response that failed in this way may have been executed, and billed. The chain commits to a response that is
//! longer than the cap.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{Method, Response, StatusCode, request, response};
use http_body::{Body, Frame};
use serde::de::IgnoredAny;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::sse::{BYTE_ORDER_MARK, begins_stream};
use crate::body::{ResponseBody, Rest, StreamError, UsageSlot};
use crate::classify::{Fault, Reason, Scope};
use crate::error::ProviderFailed;
use crate::error::SkipReason;
use crate::exchange::future::with_deadline;
use crate::exchange::inspect::{BodyFacts, Media, has_body};
use crate::exchange::served::Served;
use crate::fallback::commit::Commit;
use crate::fallback::link::Link;
use crate::fallback::settings::Settings;

/// The rules by which responses to a request are held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct HoldBack {
    commit: Commit,
    cap: usize,
    /// Whether the request is a HEAD, whose responses have no body.
    is_head: bool,
    /// Whether a JSON response is a stream.
    json_is_streamed: bool,
}

/// The checks for one response that is held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    /// Maximum number of bytes to read.
    cap: usize,
    /// Whether the body has to be JSON.
    parse: bool,
    /// The time at which the response has to be complete.
    deadline: Option<Instant>,
}

/// The error of a response that was not complete at the deadline of its request.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed before the response was complete")]
struct Late;

/// A body and the part of it that was read.
struct Held<T> {
    body: Pin<Box<T>>,
    /// The only frame so far.
    first: Option<Bytes>,
    /// All frames, once there is more than one, or one that is not data.
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
    bytes: usize,
}

/// Reads a body until it is complete or longer than the cap. `slot` receives its end.
///
/// The body is boxed, so that the future of a request need not have room for it.
pub(super) fn hold_back<T>(
    body: T,
    slot: UsageSlot,
    check: Check,
) -> impl Future<Output = Result<ResponseBody<T>, BoxError>>
where
    T: Body<Data = Bytes> + Send,
    T::Error: Into<BoxError>,
{
    let mut held = Held { body: Box::pin(body), first: None, frames: VecDeque::new(), bytes: 0 };
    async move {
        slot.hold_back(true);
        let filled = match poll_fn(|cx| Poll::Ready(held.poll_fill(check.cap, cx))).await {
            Poll::Ready(filled) => filled,
            // Mostly it is there already, and needs no timer.
            Poll::Pending => {
                let fill = poll_fn(|cx| held.poll_fill(check.cap, cx));
                with_deadline(check.deadline, fill).await.unwrap_or_else(|_elapsed| Err(Late.into()))
            }
        };
        let rest = held.into_rest(filled?, check)?;
        slot.hold_back(false);
        Ok(ResponseBody::unwatched(rest))
    }
}

/// Reads a response that the layer inside guards until it is complete or longer than the cap.
pub(super) fn read<T>(
    response: Response<T>,
    check: Check,
    link: &Link,
) -> impl Future<Output = Result<Response<ResponseBody<T>>, Box<ProviderFailed>>>
where
    T: Body<Data = Bytes> + Send,
    T::Error: Into<BoxError>,
{
    let slot = Served::usage_slot_of(&response);
    let (mut head, body) = response.into_parts();
    hold_back(body, slot, check).map(move |held| match held {
        Ok(body) => Ok(Response::from_parts(head, body)),
        Err(error) => Err(failed(error, &mut head, link)),
    })
}

/// Creates the failure of a response that is not handed over.
pub(super) fn failed(error: BoxError, head: &mut response::Parts, link: &Link) -> Box<ProviderFailed> {
    let (status, served) = (head.status, head.extensions.remove::<Served>());
    let (reason, scope) = match error.downcast_ref() {
        Some(StreamError::Idle(_)) => (Reason::Timeout, Scope::Provider),
        // The caller's deadline may have been too short, so the provider is not blamed.
        _ if error.is::<Late>() => (Reason::Timeout, Scope::None),
        _ => (Reason::Truncated, Scope::Provider),
    };
    let fault = Fault::new(reason, scope).with_may_have_run(true);
    let attempts = served.map_or_else(Vec::new, |served| served.into_failed(&link.name, status, &fault));
    let left = ProviderFailed::new(Arc::clone(&link.name), SkipReason::Fault(fault));
    Box::new(ProviderFailed { attempts, status: Some(status), source: Some(error), ..left })
}

/// Returns whether the data are one JSON document, or several in sequence. Events under the type of JSON are sound too:
/// their guard has checked them.
fn is_sound(data: &[u8]) -> bool {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    if serde_json::from_slice::<IgnoredAny>(data).is_ok() || begins_stream(data) {
        return true;
    }
    let mut documents = serde_json::Deserializer::from_slice(data).into_iter::<IgnoredAny>().peekable();
    documents.peek().is_some() && documents.all(|document| document.is_ok())
}

// === impl HoldBack ===

impl HoldBack {
    /// Creates the rules from the request's own [`Commit`], or else the chain's.
    pub(super) fn of(request: &request::Parts, settings: &Settings) -> Self {
        Self {
            commit: request.extensions.get().copied().unwrap_or(settings.commit),
            cap: settings.complete_cap,
            is_head: request.method == Method::HEAD,
            // Gemini's streams without `alt=sse`: https://ai.google.dev/api/generate-content.
            json_is_streamed: request.uri.path().ends_with(":streamGenerateContent"),
        }
    }

    /// Returns whether event streams are inspected before the commit.
    pub(super) const fn looks_into_streams(self) -> bool {
        !matches!(self.commit, Commit::Head)
    }

    /// Returns whether a success with this status has a body.
    pub(super) const fn has_body(self, status: StatusCode) -> bool {
        has_body(self.is_head, status)
    }

    /// Returns whether the request is a HEAD.
    pub(super) const fn is_head(self) -> bool {
        self.is_head
    }

    /// Returns the checks for a response. `None` if it is not held back.
    pub(super) fn check<T: Body>(self, response: &Response<T>, deadline: Option<Instant>) -> Option<Check> {
        let (status, headers) = (response.status(), response.headers());
        if !status.is_success() || !self.has_body(status) || self.commit == Commit::Head {
            return None;
        }
        let facts = BodyFacts::of(headers);
        let json = status != StatusCode::PARTIAL_CONTENT && facts.media == Media::Json;
        let due = self.commit == Commit::Complete || json && !self.json_is_streamed;
        let fits = due && response.body().size_hint().lower() <= self.cap as u64;
        fits.then_some(Check { cap: self.cap, parse: json && facts.is_readable, deadline })
    }
}

// === impl Held ===

impl<T> Held<T>
where
    T: Body<Data = Bytes>,
    T::Error: Into<BoxError>,
{
    /// Reads to the end or the cap. Returns whether the end was reached.
    fn poll_fill(&mut self, cap: usize, cx: &mut Context<'_>) -> Poll<Result<bool, BoxError>> {
        while self.bytes <= cap {
            if self.body.is_end_stream() {
                return Poll::Ready(Ok(true));
            }
            match ready!(self.body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(Ok(true)),
                Some(frame) => self.push(frame.map_err(Into::into)?),
            }
        }
        Poll::Ready(Ok(false))
    }

    fn push(&mut self, frame: Frame<Bytes>) {
        self.bytes += frame.data_ref().map_or(0, Bytes::len);
        if self.first.is_none() && self.frames.is_empty() {
            match frame.into_data() {
                Ok(data) => self.first = Some(data),
                Err(other) => self.frames.push_back(Ok(other)),
            }
            return;
        }
        self.frames.extend(self.first.take().map(|first| Ok(Frame::data(first))));
        self.frames.push_back(Ok(frame));
    }

    /// Converts what was read into a body. Fails if the body is whole and not valid.
    fn into_rest(mut self, is_whole: bool, check: Check) -> Result<Rest<T>, BoxError> {
        if is_whole && check.parse {
            self.join();
            if !is_sound(self.first.as_deref().unwrap_or_default()) {
                return Err(StreamError::Malformed.into());
            }
        }
        if is_whole && self.frames.is_empty() {
            return Ok(Rest::Whole { data: self.first.unwrap_or_default() });
        }
        if let Some(first) = self.first {
            self.frames.push_front(Ok(Frame::data(first)));
        }
        Ok(Rest::Begun { seen: self.frames, body: (!is_whole).then_some(self.body) })
    }

    /// Joins all data into one frame, so that they can be parsed in one piece. Trailers stay behind it.
    fn join(&mut self) {
        if self.first.is_some() {
            return;
        }
        let mut data = BytesMut::with_capacity(self.bytes);
        let pieces = self.frames.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        pieces.for_each(|piece| data.extend_from_slice(piece));
        self.frames.retain(|frame| frame.as_ref().is_ok_and(|frame| !frame.is_data()));
        self.first = Some(data.freeze());
    }
}
