//! A response that was inspected.

use std::sync::Arc;

use http::Response;
use http::response::Parts;

use crate::body::{Redactor, ResponseBody, Rest, Shape};
use crate::exchange::inspect::delivery::Delivery;
use crate::exchange::inspect::media::{BodyFacts, Media};

/// A response that was inspected, in parts. It is smaller than an `http::Response`, and so cheaper to move.
pub(crate) struct UpstreamResponse<B> {
    pub(crate) head: Arc<Parts>,
    /// Whether the response should have been inspected but could not be read.
    pub(crate) is_unreadable: bool,
    pub(crate) facts: BodyFacts,
    pub(crate) body: Rest<B>,
    pub(crate) redactor: Option<Redactor>,
    pub(crate) delivery: Delivery,
}

// === impl UpstreamResponse ===

impl<B> UpstreamResponse<B> {
    /// Returns whether it is a successful event stream, readable or not.
    pub(crate) fn is_stream(&self) -> bool {
        let is_own_body = self.delivery == Delivery::AsItCame;
        self.facts.media == Media::Events && is_own_body && self.head.status.is_success()
    }

    /// Returns whether the body that is delivered can be read without decoding.
    pub(crate) fn is_readable(&self) -> bool {
        self.facts.is_readable || self.delivery != Delivery::AsItCame
    }

    /// Returns the shape of the body, if it is a success.
    pub(crate) fn shape(&self) -> Shape {
        self.facts.shape(self.head.status)
    }

    /// Returns whether the head states the length of a document.
    pub(crate) fn is_document_of_length(&self) -> bool {
        self.facts.has_length && self.shape() == Shape::Document
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody<B>> {
        let mut head = reclaim(self.head);
        self.delivery.correct(&mut head.headers, &self.body);
        Response::from_parts(head, ResponseBody::unwatched(self.body).redact(self.redactor))
    }
}

/// Takes the head back, or copies it if the classifier kept the outcome.
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
