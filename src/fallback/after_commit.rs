//! Responses after the commit: up to the commit a response is the chain's, after it the caller's.
//!
//! A commit is a success for the link's breaker, and closes it after a probe, so that a probe does not last as
//! long as a stream. The end of the body is recorded when it ends. A body that fails is a separate fault of the
//! provider, and a number of these in a row opens the breaker, however many commits lie between them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::meter::Usage;
use crate::body::{
    BodyEnd, EndListener, ResponseBody, Settle, Shape, StreamErrorKind, StreamGuard, UsageSlot,
};
use crate::clock::Timestamp;
use crate::event::{EventKind, Severity};
use crate::exchange::inspect::{is_stream, shape};
use crate::exchange::served::Served;
use crate::fallback::breaker::BreakerPermit;
use crate::fallback::link::{Chain, Link};
use crate::fallback::state::ChainState;

/// The settlement of a response of a link without keys, when its body has ended.
struct Keyless(Arc<Link>);

/// Limits the pauses of the response and checks its end. Returns the slot that receives its end.
///
/// A rotation layer that has joined the context has done so, if it could read the response. A response that it
/// could not read may have been decoded by a layer in between.
pub(super) fn guard<B>(
    response: &mut Response<ResponseBody<B>>,
    link: &Arc<Link>,
    state: &ChainState<B>,
) -> UsageSlot {
    let context = &state.context;
    let served = response.extensions().get::<Served>().filter(|_| context.is_joined());
    let slot = served.map_or_else(|| UsageSlot::new(Keyless(Arc::clone(link))), Served::usage_slot);
    if !served.is_some_and(Served::is_guarded) {
        let is_stream = is_stream(response) && state.hold_back.has_body(response.status());
        let mut guard = StreamGuard::strict(is_stream, Some(slot.clone()), context.idle_timeout());
        if response.status().is_success() {
            guard = guard.of_success(shape(response));
        }
        let told = context.error_events() && !response.headers().contains_key(CONTENT_LENGTH);
        guard.set_error_events(told.then(|| state.dialect()));
        response.body_mut().watch(guard);
    }
    slot
}

/// Removes the length of a document that passes, because a server sends no error behind the last byte of a length that it
/// has stated. A document that was held back is whole.
pub(super) fn forget_length<B>(response: &mut Response<ResponseBody<B>>)
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    // In the order of their costs.
    if response.body().size_hint().exact().is_none()
        && response.headers().contains_key(CONTENT_LENGTH)
        && shape(response) == Shape::Document
    {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

/// Records the commit, and lets the link receive the end of a successful response's body.
pub(super) fn book<B>(
    permit: BreakerPermit,
    status: StatusCode,
    slot: Option<&UsageSlot>,
    link: &Arc<Link>,
    chain: &Chain<B>,
    now: Instant,
) {
    let committed = permit.committed(now.into());
    if committed.closed {
        chain.emit(link, Severity::Change, || EventKind::BreakerClosed);
    }
    if let Some(slot) = slot.filter(|_| status.is_success()) {
        slot.listen(Arc::clone(link) as Arc<dyn EndListener>, committed.generation);
    }
}

impl EndListener for Link {
    fn ended(&self, generation: u64, end: BodyEnd) {
        let failed = match end {
            BodyEnd::Complete => false,
            BodyEnd::Failed(_) => true,
            BodyEnd::Abandoned => return,
        };
        if let Some(wait) = self.breaker.body_ended(generation, failed, Timestamp::now()) {
            self.emit(Severity::Change, || EventKind::BreakerOpened { wait });
        }
    }
}

impl Settle for Keyless {
    fn wants_usage(&self) -> bool {
        false
    }

    fn settle(&self, _: Option<Usage>) {}

    fn failed(&self, kind: StreamErrorKind) {
        let reason = kind.as_str();
        self.0.emit(Severity::Change, || EventKind::StreamFailed { key: None, model: None, reason });
    }
}
