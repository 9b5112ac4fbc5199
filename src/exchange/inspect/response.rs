//! A response that was looked at.

use std::sync::Arc;

use http::Response;
use http::response::Parts;

use crate::body::{Redactor, ResponseBody, Rest};
use crate::exchange::inspect::delivery::Delivery;
use crate::exchange::inspect::media::Media;

/// An answer that was looked at. In its parts it is small enough to be handed on, which a response is not.
pub(crate) struct UpstreamResponse<B> {
    pub(crate) head: Arc<Parts>,
    /// It was worth a look, but can't be read.
    pub(crate) is_unreadable: bool,
    pub(crate) media: Media,
    pub(crate) body: Rest<B>,
    pub(crate) redactor: Option<Redactor>,
    pub(crate) delivery: Delivery,
}

// === impl Answer ===

impl<B> UpstreamResponse<B> {
    /// Whether it is a successful event stream, readable or not.
    pub(crate) fn is_stream(&self) -> bool {
        let is_own_body = self.delivery == Delivery::AsItCame;
        self.media == Media::Events && is_own_body && self.head.status.is_success()
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody<B>> {
        let mut head = reclaim(self.head);
        self.delivery.correct(&mut head.headers);
        Response::from_parts(head, ResponseBody::unwatched(self.body).redact(self.redactor))
    }
}

/// The head again; a copy if the classifier kept the outcome.
fn reclaim(head: Arc<Parts>) -> Parts {
    Arc::try_unwrap(head).unwrap_or_else(|head| {
        let (mut copy, ()) = Response::new(()).into_parts();
        copy.status = head.status;
        copy.version = head.version;
        copy.headers.clone_from(&head.headers);
        copy.extensions.clone_from(&head.extensions);
        copy
    })
}
