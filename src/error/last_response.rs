//! The last response of a request that failed.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use tower::BoxError;

use crate::body::{ErrorBody, RestLimits};

/// The last response of a failed request, if its status is an error. Only an error response may be delivered in
/// place of an error of this crate.
pub(crate) struct LastResponse(Response<ErrorBody>);

// === impl LastResponse ===

impl LastResponse {
    /// Keeps an error response, whose rest is bounded by `limits`. Drops any other response.
    pub(crate) fn new(
        response: Response<UnsyncBoxBody<Bytes, BoxError>>,
        limits: RestLimits,
    ) -> Option<Self> {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        is_error.then(|| Self(response.map(|body| ErrorBody::response(body, limits))))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(crate) fn into_inner(self) -> Response<ErrorBody> {
        self.0
    }
}
