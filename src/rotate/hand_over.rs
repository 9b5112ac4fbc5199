//! Handing a response over to the caller.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body::Body;
use tower::BoxError;

use crate::body::{EventDialect, ResponseBody, RestLimits, StreamGuard};
use crate::exchange::context::ChainContext;
use crate::exchange::inspect::{UpstreamResponse, forget_length};
use crate::exchange::served::Served;

/// Adds [`Served`] to a response, meters its usage and, in a chain, checks its end. A compressed response is left to
/// the chain, because a layer in between may decode it.
///
/// After a switch of protocols [`Served`] alone keeps the accounting open, as long as a clone of it exists.
pub(super) fn handed_over<B>(
    response: UpstreamResponse<B>,
    mut served: Served,
    context: Option<&ChainContext>,
    in_band: Option<EventDialect>,
    rest: RestLimits,
) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (is_stream, shape, readable) = (response.is_stream(), response.shape(), response.is_readable());
    // A chain that commits to heads holds no document back.
    let passes =
        context.is_some_and(|context| !context.looks_into_streams()) && response.is_document_of_length();
    let mut response = response.into_response();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // The bytes of the connection are no body, and its end is not that of the body.
        if context.is_some() {
            served.set_guarded();
        }
        response.extensions_mut().insert(served);
        return response;
    }
    if context.is_some() && is_stream && readable || passes {
        forget_length(&mut response);
    }
    ResponseBody::limit(&mut response, rest);
    // A stream of known length has no room for another event.
    let in_band = in_band.filter(|_| !response.headers().contains_key(CONTENT_LENGTH));
    let usage = served.usage_slot();
    let mut guard = match context {
        Some(_) if !readable => StreamGuard::holding(usage),
        Some(context) => {
            served.set_guarded();
            let guard = StreamGuard::strict(is_stream, Some(usage), context.idle_timeout());
            if response.status().is_success() { guard.of_success(shape) } else { guard }
        }
        None => StreamGuard::metering(is_stream && readable, usage),
    };
    guard.set_error_events(in_band);
    response.body_mut().watch(guard);
    response.extensions_mut().insert(served);
    response
}
