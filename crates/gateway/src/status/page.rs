//! The page for people, and the description of the paths for programs. They hold no data of the gateway.

use std::sync::LazyLock;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::response;

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/status.css");
const SCRIPT: &str = include_str!("page/status.js");
const OPENAPI: &str = include_str!("openapi.json");

/// The page as it is sent. Style and script are a part of it, so that it can be mounted at any path.
struct Page {
    html: String,
    policy: HeaderValue,
}

/// Returns whether a path is that of the page.
pub(super) fn is_page(path: &str) -> bool {
    matches!(path, "" | "/")
}

/// Returns the page.
pub(super) fn page() -> Response<Body> {
    static PAGE: LazyLock<Page> = LazyLock::new(Page::new);
    let mut response = response::with_type(StatusCode::OK, "text/html; charset=utf-8", PAGE.html.clone());
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, PAGE.policy.clone()),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ] {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Returns the description of the paths in OpenAPI 3.1.
pub(super) fn openapi() -> Response<Body> {
    response::with_type(StatusCode::OK, "application/json", OPENAPI.to_owned())
}

// === impl Page ===

impl Page {
    fn new() -> Self {
        // The page runs its own script and connects to its own host. No other page may frame it.
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        let html = HTML.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
        let nothing = HeaderValue::from_static("default-src 'none'");
        Self { html, policy: HeaderValue::try_from(policy).unwrap_or(nothing) }
    }
}

/// Returns the source expression of a policy that permits this text.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}
