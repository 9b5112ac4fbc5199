//! The head of a request, which can be built again for every attempt.
//!
//! Most requests have one attempt. The first attempt therefore gets the caller's own head, and the headers of the copy for
//! later attempts are a [text](HeaderCopy). Only a further attempt builds a map from it.

use std::mem::replace;

use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version};

use crate::exchange::header_copy::HeaderCopy;

/// The head of a request, kept so that it can be built again.
pub(crate) enum Head {
    /// The caller's own head, until the first attempt takes it.
    Own(Parts),
    /// Copy of the head, once the first attempt has taken it.
    Copy(HeadCopy),
}

/// A copy of a head, with the headers as text.
pub(crate) struct HeadCopy {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderCopy,
    extensions: Extensions,
}

/// Header by which a caller declares that executing a request twice does no harm.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

// === impl Head ===

impl Head {
    pub(crate) fn new(mut parts: Parts) -> Self {
        if parts.extensions.is_empty() {
            // An empty `Extensions` may hold an allocation, which every clone would copy.
            parts.extensions = Extensions::new();
        }
        Self::Own(parts)
    }

    /// Builds a request with the head as it came.
    #[inline]
    pub(crate) fn make<B>(&mut self, body: B) -> Request<B> {
        let copy = match self {
            Self::Own(parts) => Self::Copy(HeadCopy::new(parts)),
            Self::Copy(copy) => return copy.make(body),
        };
        match replace(self, copy) {
            Self::Own(parts) => Request::from_parts(parts, body),
            Self::Copy(copy) => copy.make(body),
        }
    }

    pub(crate) const fn method(&self) -> &Method {
        match self {
            Self::Own(Parts { method, .. }) | Self::Copy(HeadCopy { method, .. }) => method,
        }
    }

    pub(crate) const fn uri(&self) -> &Uri {
        match self {
            Self::Own(Parts { uri, .. }) | Self::Copy(HeadCopy { uri, .. }) => uri,
        }
    }

    pub(crate) const fn extensions(&self) -> &Extensions {
        match self {
            Self::Own(Parts { extensions, .. }) | Self::Copy(HeadCopy { extensions, .. }) => extensions,
        }
    }

    /// Returns the first value of a header.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        match self {
            Self::Own(parts) => parts.headers.get(name).map(HeaderValue::as_bytes),
            Self::Copy(copy) => copy.headers.get_all(name).next(),
        }
    }

    /// Iterates over the values of a header.
    fn headers(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        let (own, copy) = match self {
            Self::Own(parts) => (Some(parts.headers.get_all(name)), None),
            Self::Copy(copy) => (None, Some(copy.headers.get_all(name))),
        };
        own.into_iter().flatten().map(HeaderValue::as_bytes).chain(copy.into_iter().flatten())
    }

    /// Returns whether the body is compressed or encoded otherwise.
    pub(crate) fn is_encoded(&self) -> bool {
        let is_plain = |value: &[u8]| {
            let value = value.trim_ascii();
            value.is_empty() || value.eq_ignore_ascii_case(b"identity")
        };
        !self.headers(&CONTENT_ENCODING).all(is_plain)
    }

    /// Returns whether executing the request twice does no harm, by its method or by its `idempotency-key`
    /// header. An empty header names no request.
    pub(crate) fn is_idempotent(&self) -> bool {
        let safe = matches!(*self.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
        safe || self.header(&IDEMPOTENCY_KEY).is_some_and(|key| !key.trim_ascii().is_empty())
    }
}

// === impl HeadCopy ===

impl HeadCopy {
    fn new(parts: &Parts) -> Self {
        let Parts { method, uri, version, headers, extensions, .. } = parts;
        Self {
            method: method.clone(),
            uri: uri.clone(),
            version: *version,
            headers: HeaderCopy::new(headers),
            extensions: extensions.clone(),
        }
    }

    fn make<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers.to_map();
        request.extensions_mut().clone_from(&self.extensions);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_is_made_is_as_the_first_came() {
        let mut request = Request::post("https://h/p?q").version(Version::HTTP_2);
        for (name, value) in [("x-one", "1"), ("x-two", "2"), ("x-one", "3")] {
            request = request.header(name, value);
        }
        let (parts, ()) = request.extension(7_u8).body(()).unwrap().into_parts();
        let before = parts.clone();
        let mut head = Head::new(parts);
        for _ in 0..3 {
            let (mut made, ()) = head.make(()).into_parts();
            assert_eq!(
                (&made.method, &made.uri, made.version),
                (&before.method, &before.uri, before.version)
            );
            assert_eq!(made.headers, before.headers);
            assert_eq!(made.extensions.get::<u8>(), Some(&7));
            assert_eq!(
                head.header(&HeaderName::from_static("x-one")),
                before.headers.get("x-one").map(HeaderValue::as_bytes)
            );
            made.headers.clear();
        }
    }
}
