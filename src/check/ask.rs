//! One call of a check: send the request, inspect the response, ask the classifier.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Collected, Limited};
use tokio::time::timeout;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use crate::body::{ReplayBody, ResponseBody};
use crate::classify::{Classify, ErrorBody, Fault, Outcome, Reason, Verdict, transport};
use crate::clock::Timestamp;
use crate::exchange::inspect::{Inspector, Limits, classify, into_parts};
use crate::key::{CheckResult, Issued};
use crate::pool::CheckedKey;
use crate::provider::{CheckCall, Unroutable, says_error};
use crate::scrub;

/// Anthropic refuses requests without a version. Other providers ignore the header.
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// Maximum number of bytes of a success that are read, so that the connection can be used again (1 MiB).
const MOST_READ: usize = 1024 * 1024;

/// Maximum time for reading it (1 s).
const DRAIN: Duration = Duration::from_secs(1);

/// The result of one call.
pub(super) struct CallResult {
    pub(super) result: CheckResult,
    pub(super) status: Option<StatusCode>,
    /// The fault, if there is one.
    pub(super) fault: Option<Fault>,
}

/// One call of a check.
pub(super) struct Call<'a, C> {
    pub(super) classifier: &'a C,
    pub(super) checked: &'a CheckedKey,
    pub(super) uri: &'a Uri,
    pub(super) kind: CheckCall,
    /// The secret that the key's source has given.
    pub(super) issued: Option<&'a Issued>,
    pub(super) with_key: bool,
    /// Whether the provider puts errors into the bodies of successes.
    pub(super) look_into_success: bool,
    pub(super) limit: Duration,
}

// === impl CallResult ===

impl CallResult {
    pub(super) const fn new(result: CheckResult, status: Option<StatusCode>) -> Self {
        Self { result, status, fault: None }
    }

    /// Returns the meaning of a verdict for the key.
    fn of(verdict: Verdict, head: Option<&Parts>) -> Self {
        let status = head.map(|head| head.status);
        let result = match &verdict {
            _ if status.is_some_and(is_missing) => CheckResult::NoCall,
            // A page for people comes from another server than the API.
            Verdict::Success if head.is_some_and(is_json) => CheckResult::Valid,
            Verdict::Success | Verdict::Rejected(_) | Verdict::Inspect => CheckResult::NoCall,
            Verdict::Fault(fault) => result_of(fault),
        };
        Self { result, status, fault: verdict.fault().cloned() }
    }
}

// === impl Call ===

impl<C: Classify> Call<'_, C> {
    /// Makes the call. A service that does not respond within the limit counts as a timeout.
    pub(super) async fn make<S, B>(&self, service: &mut S) -> CallResult
    where
        S: Service<Request<ReplayBody>, Response = Response<B>, Error: Into<BoxError>>,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Ok((found, rest)) = timeout(self.limit, Box::pin(self.send(service))).await else {
            return CallResult::new(CheckResult::Timeout, None);
        };
        let Some(body) = rest else { return found };
        let read = timeout(DRAIN, Limited::new(body, MOST_READ).collect()).await;
        let body = read.ok().and_then(Result::ok).map(Collected::to_bytes);
        let is_error = body.is_some_and(|body| says_error(&ErrorBody::parse(&body)));
        if is_error && found.result == CheckResult::Valid {
            return CallResult::new(CheckResult::NoCall, found.status);
        }
        found
    }

    /// Returns the result, and the rest of the response.
    async fn send<S, B>(&self, service: &mut S) -> (CallResult, Option<ResponseBody<B>>)
    where
        S: Service<Request<ReplayBody>, Response = Response<B>, Error: Into<BoxError>>,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut request = Request::new(ReplayBody::empty());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(ANTHROPIC_VERSION.0, ANTHROPIC_VERSION.1);
        request.extensions_mut().insert(self.kind);
        if self.checked.apply(&mut request, self.issued, self.with_key).is_err() {
            return (CallResult::new(CheckResult::Unreachable, None), None);
        }
        let path = request.uri().path_and_query().cloned();
        let called = match service.ready().await.map_err(Into::into) {
            Ok(ready) => ready.call(request).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        let (mut head, body) = match called.map(into_parts) {
            Ok(response) => response,
            Err(error) => {
                if Unroutable::among(&error).is_some() {
                    return (CallResult::new(CheckResult::NoCall, None), None);
                }
                let outcome = Outcome::transport(transport::of(&error), Timestamp::now());
                return (CallResult::of(classify(self.classifier, || outcome).await, None), None);
            }
        };
        let secret = self.checked.secret(self.issued);
        scrub::head(Arc::make_mut(&mut head), secret);
        let inspector = Inspector {
            classifier: self.classifier,
            limits: &Limits::DEFAULT,
            look_into_streams: true,
            look_into_success: self.look_into_success,
            is_head: false,
            path: path.as_ref(),
            secret: Some(secret),
        };
        let (verdict, response) = inspector.inspect((head, body), Timestamp::now()).await;
        let found = CallResult::of(verdict, Some(&response.head));
        (found, Some(response.into_response().into_body()))
    }
}

fn is_missing(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}

fn is_json(head: &Parts) -> bool {
    let media = head.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    head.status.is_success() && media.is_some_and(|media| media.to_ascii_lowercase().contains("json"))
}

fn result_of(fault: &Fault) -> CheckResult {
    match fault.reason() {
        Reason::InvalidKey if !fault.one_resource() => CheckResult::Invalid,
        Reason::InvalidKey | Reason::Forbidden | Reason::Blocked => CheckResult::Forbidden,
        Reason::QuotaExceeded => CheckResult::QuotaExceeded,
        Reason::RateLimited => CheckResult::RateLimited,
        Reason::Overloaded | Reason::ServerError | Reason::Truncated => CheckResult::ServerError,
        Reason::Timeout => CheckResult::Timeout,
        Reason::Unreachable => CheckResult::Unreachable,
    }
}
