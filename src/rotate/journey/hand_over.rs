//! How a response is handed over.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use tower::BoxError;

use crate::body::{EventDialect, Guard, ResponseBody, RestLimits};
use crate::inspect::{Answer, forget_length, is_readable};
use crate::rotate::budget::Ticket;
use crate::rotate::ledger::Served;

/// Says on the answer who served it, and has its usage metered and, for a chain, its end checked. What can't be
/// read is left to the chain, inside which it may be decompressed.
pub(super) fn handed_over<B>(
    answer: Answer<B>,
    mut served: Served,
    ticket: Option<&Ticket>,
    in_band: Option<EventDialect>,
    rest: RestLimits,
) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let is_stream = answer.is_stream();
    let mut response = answer.into_response();
    if ticket.is_some() {
        forget_length(&mut response);
    }
    let mut response = ResponseBody::limit(response, rest);
    let readable = is_readable(response.headers());
    // A stream of known length has no room for another event.
    let in_band = in_band.filter(|_| !response.headers().contains_key(CONTENT_LENGTH));
    let usage = served.usage_cell();
    let guard = match ticket {
        _ if !readable => Guard::holding(usage),
        Some(ticket) => {
            served.set_guarded();
            Guard::strict(is_stream, Some(usage), ticket.idle_timeout())
        }
        None => Guard::metering(is_stream, usage),
    };
    response.body_mut().watch(guard.telling_errors(in_band));
    response.extensions_mut().insert(served);
    response
}
