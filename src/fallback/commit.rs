//! Up to the commit an answer is the chain's; after it, the caller's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::BoxError;

use super::failure::{LeftBecause, ProviderFailed};
use super::judge::Judged;
use super::layer::Settings;
use crate::body::{Guard, ResponseBody, Rest};
use crate::classify::{Fault, Reason, Scope};
use crate::inspect::is_stream;
use crate::rotate::Served;

/// Has the pauses of the answer limited and its end checked. A rotation layer that has adopted the ticket has
/// seen to that, if it could read the answer; of whatever it could not, somebody between may have made more.
pub(super) fn guard<B>(
    mut response: Response<ResponseBody<B>>,
    settings: &Settings,
    adopted: bool,
) -> Response<ResponseBody<B>> {
    let served = response.extensions().get::<Served>().filter(|_| adopted);
    if served.is_some_and(Served::is_guarded) {
        return response;
    }
    let usage = served.map(Served::usage_cell);
    let guard = Guard::strict(is_stream(&response), usage, settings.idle_timeout);
    response.body_mut().watch(guard);
    response
}

/// Holds an answer back until it is complete, or as far as the cap goes.
pub(super) async fn hold_back<B>(
    response: Response<ResponseBody<B>>,
    name: &Arc<str>,
    cap: usize,
) -> Judged<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    match complete(Box::pin(body), cap).await {
        Ok(body) => Judged::Guarded(Box::new(Response::from_parts(head, body))),
        Err(source) => {
            let fault = Fault::new(Reason::Truncated, Scope::Provider);
            let left = ProviderFailed::new(Arc::clone(name), LeftBecause::Fault(fault));
            Judged::left(ProviderFailed { source: Some(source), ..left })
        }
    }
}

/// Reads a body to its end, or as far as the cap goes.
async fn complete<B>(mut body: Pin<Box<ResponseBody<B>>>, cap: usize) -> Result<ResponseBody<B>, BoxError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut held: VecDeque<Result<Frame<Bytes>, BoxError>> = VecDeque::new();
    let mut bytes = 0;
    while bytes <= cap {
        let Some(frame) = body.frame().await.transpose()? else { break };
        bytes += frame.data_ref().map_or(0, Bytes::len);
        held.push_back(Ok(frame));
    }
    Ok(ResponseBody::erased(ResponseBody::unwatched(Rest::Begun { seen: held, body }).boxed_unsync()))
}
