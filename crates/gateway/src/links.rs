//! Links of a provider to itself, in responses: they are changed so that they lead through the gateway.
//!
//! A client that follows such a link would send the gateway's token to the provider. Two kinds exist: headers, such as
//! the address to which a file is uploaded in parts, and members of JSON documents, such as the address of the results
//! of a batch. Names that the provider expects back in a request, such as the `uri` of a file, stay as they are.

use axum::body::Body as OwnBody;
use axum::extract::NestedPath;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, HOST, HeaderName, LINK, LOCATION};
use http::{HeaderMap, HeaderValue, Response, Uri, request};
use http_body::Body;
use http_body_util::{BodyExt, Either, Limited};
use tower::BoxError;

use crate::response::GatewayBody;
use crate::upstream::ChainBody;

/// Headers whose values are links.
const HEADERS: [HeaderName; 6] = [
    LOCATION,
    CONTENT_LOCATION,
    LINK,
    HeaderName::from_static("x-goog-upload-url"),
    HeaderName::from_static("x-goog-upload-control-url"),
    HeaderName::from_static("operation-location"),
];

/// Members of JSON documents whose values are links that clients follow.
const MEMBERS: [&str; 14] = [
    "results_url",
    "result_url",
    "next",
    "next_url",
    "next_page_url",
    "previous",
    "previous_url",
    "first",
    "last",
    "status_url",
    "response_url",
    "cancel_url",
    "upload_url",
    "downloadUri",
];

/// Maximum size of a document in which links are changed (8 MiB).
const LARGEST: usize = 8 * 1024 * 1024;

/// Parts of paths whose responses have links.
const PATHS: [&str; 4] = ["batches", "upload", "operations", "predictions"];

/// The change of a provider's links.
pub(crate) struct Links {
    /// Origin of the provider: `https://api.anthropic.com`.
    from: String,
    /// The gateway's address of this provider: `http://localhost:8787/anthropic`.
    to: String,
}

// === impl Links ===

impl Links {
    /// Returns the change for the responses to a request for the native API of a provider, if they may have links. The
    /// links lead below the path at which an app has mounted the gateway.
    pub(crate) fn of(head: &request::Parts, provider: &str, base: &Uri) -> Option<Self> {
        let path = head.uri.path();
        let has_links = path.split('/').any(|segment| PATHS.contains(&segment)) || path.contains(":predict");
        if !has_links {
            return None;
        }
        let from = format!("{}://{}", base.scheme_str()?, base.authority()?);
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let host = text("x-forwarded-host").or_else(|| text(HOST.as_str()));
        let host = host.or_else(|| head.uri.authority().map(http::uri::Authority::as_str))?;
        let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        let nested = head.extensions.get::<NestedPath>().map_or("", NestedPath::as_str).trim_end_matches('/');
        Some(Self { from, to: format!("{scheme}://{host}{nested}/{provider}") })
    }

    /// Changes the links in headers.
    pub(crate) fn change_headers(&self, headers: &mut HeaderMap) {
        for name in HEADERS {
            let Some(value) = headers.get(&name).and_then(|value| value.to_str().ok()) else { continue };
            if value.contains(&self.from)
                && let Ok(changed) = HeaderValue::try_from(value.replace(&self.from, &self.to))
            {
                headers.insert(name, changed);
            }
        }
    }

    /// Changes the links in a JSON document of at most 8 MiB. Fails if the body breaks off.
    pub(crate) async fn change_body(
        &self,
        response: Response<ChainBody>,
    ) -> Result<Response<GatewayBody>, BoxError> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json || response.body().size_hint().lower() > LARGEST as u64 {
            return Ok(response.map(Either::Left));
        }
        let (mut head, body) = response.into_parts();
        let changed = self.in_document(Limited::new(body, LARGEST).collect().await?.to_bytes());
        if head.headers.contains_key(CONTENT_LENGTH) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(changed.len()));
        }
        Ok(Response::from_parts(head, Either::Right(OwnBody::from(changed))))
    }

    /// Replaces the beginning of the links. Everything else stays as it is, byte for byte.
    fn in_document(&self, document: Bytes) -> Bytes {
        let Ok(text) = std::str::from_utf8(&document) else { return document };
        let start = format!("\"{}/", self.from);
        let mut changed = String::new();
        let mut done = 0;
        for (at, _) in text.match_indices(&start) {
            if member_before(&text[..at]).is_some_and(|member| MEMBERS.contains(&member)) {
                changed.push_str(&text[done..=at]);
                changed.push_str(&self.to);
                done = at + 1 + self.from.len();
            }
        }
        if done == 0 {
            return document;
        }
        changed.push_str(&text[done..]);
        changed.into()
    }
}

/// Returns the name of the member whose value begins behind this text.
fn member_before(text: &str) -> Option<&str> {
    let name = text.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
    Some(&name[name.rfind('"')? + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_that_clients_follow_are_changed() {
        let links = Links { from: "https://p.example".into(), to: "http://g/p".into() };
        let document = r#"{"results_url" : "https://p.example/v1/x","uri":"https://p.example/v1beta/files/1","text":"https://p.example/"}"#;
        let changed = document.replacen("https://p.example/v1/x", "http://g/p/v1/x", 1);
        assert_eq!(links.in_document(document.into()), changed);
        assert_eq!(links.in_document("{}".into()), "{}");
    }
}
