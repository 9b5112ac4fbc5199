//! Cross-origin requests of browsers: preflights, and the headers that let a page read a response.
//!
//! The rules are those of tower-http's layer. The gateway asks the layer about the head of a request and adds the
//! headers to whatever responds, its own errors included.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request};
use tower::{Layer, Service, service_fn};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// Time for which a browser remembers a preflight (1 h).
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Headers of responses that a page may read, beside the simple ones.
const EXPOSED: [&str; 21] = [
    "x-served-by",
    "x-attempts",
    "x-request-id",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "x-goog-upload-url",
    "x-goog-upload-status",
    "openai-processing-ms",
    "location",
];

/// The origins whose pages may use the gateway.
pub(crate) struct Cors {
    layer: CorsLayer,
    origins: Vec<HeaderValue>,
}

// === impl Cors ===

impl Cors {
    /// Creates the rules for these origins; `*` stands for all. `None` if there is no origin.
    pub(crate) fn new(origins: &[HeaderValue]) -> Option<Self> {
        let any = origins.iter().any(|origin| origin == "*");
        let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(origins.iter().cloned()) };
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED.map(HeaderName::from_static))
            .allow_private_network(true)
            .max_age(MAX_AGE);
        (!origins.is_empty()).then(|| Self { layer, origins: origins.to_vec() })
    }

    /// Returns whether the file lists an origin. `*` lists none: it lets all pages read responses to requests with the
    /// token, and admits no request without one.
    pub(crate) fn lists(&self, origin: &HeaderValue) -> bool {
        self.origins.contains(origin)
    }

    /// Returns the response to a preflight. `None` for any other request.
    pub(crate) fn preflight(&self, head: &request::Parts) -> Option<Response<Body>> {
        let is_preflight = head.method == Method::OPTIONS
            && head.headers.contains_key(ORIGIN)
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = is_preflight.then(|| self.headers(head))?;
        Some(response)
    }

    /// Returns the headers that the response to a request gets.
    pub(crate) fn headers(&self, head: &request::Parts) -> HeaderMap {
        let empty = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let mut request = Request::new(());
        request.method_mut().clone_from(&head.method);
        request.headers_mut().clone_from(&head.headers);
        // The layer around a service that is ready at once is ready at once.
        let response = self.layer.layer(empty).call(request).now_or_never();
        let Some(Ok(response)) = response else { return HeaderMap::new() };
        let (head, _) = response.into_parts();
        head.headers
    }
}

/// Adds the headers to a response. `Vary` is kept.
pub(crate) fn add<B>(response: &mut Response<B>, headers: HeaderMap) {
    let vary: Vec<_> = response.headers().get_all(VARY).iter().cloned().collect();
    response.headers_mut().extend(headers);
    for value in vary {
        response.headers_mut().append(VARY, value);
    }
}
