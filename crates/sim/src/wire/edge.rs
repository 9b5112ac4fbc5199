//! Responses of the gateway in front of a provider. None of them depends on the key.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, SERVER};

use super::reply::Reply;

/// Returns the HTML page of a gateway: a challenge for 403, an error page for any other status.
pub(crate) fn page(status: StatusCode) -> Reply {
    let body = match status.as_u16() {
        403 => challenge(),
        520..=530 => cloudflare(status),
        _ => short(status),
    };
    let mut reply = Reply::whole(status, headers("text/html; charset=UTF-8"), body);
    if status == StatusCode::FORBIDDEN {
        reply.headers.insert("cf-mitigated", HeaderValue::from_static("challenge"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    reply
}

/// Returns a response without a body.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(SERVER, HeaderValue::from_static("cloudflare"));
    Reply::whole(status, headers, Bytes::new())
}

/// Returns a redirect to `path` at `origin`. If `origin` is no valid header value, the location is left out.
pub(crate) fn redirect(origin: &str, path: &str) -> Reply {
    let mut reply = empty(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(location) = HeaderValue::try_from(format!("{}{path}", origin.trim_end_matches('/'))) {
        reply.headers.insert(http::header::LOCATION, location);
    }
    reply
}

/// Returns well-formed JSON that is almost entirely padding, `bytes` long.
pub(crate) fn huge(status: StatusCode, bytes: usize) -> Reply {
    const START: &str = r#"{"error":{"message":""#;
    const END: &str = r#"","type":"server_error","param":null,"code":null}}"#;
    let padding = bytes.saturating_sub(START.len() + END.len());
    let body = [START, &"x".repeat(padding), END].concat();
    Reply::whole(status, headers("application/json"), body.into())
}

fn headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(SERVER, HeaderValue::from_static("cloudflare"));
    headers
}

fn short(status: StatusCode) -> Bytes {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or("Error"));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    )
    .into()
}

fn cloudflare(status: StatusCode) -> Bytes {
    let reason = match status.as_u16() {
        521 => "Web server is down",
        522 => "Connection timed out",
        524 => "A timeout occurred",
        _ => "Web server is returning an unknown error",
    };
    format!(
        "<!DOCTYPE html>\n<html class=\"no-js\" lang=\"en-US\">\n<head>\n\n\
         <title>api.example.com | {}: {reason}</title>\n<meta charset=\"UTF-8\" />\n</head>\n</html>\n",
        status.as_str()
    )
    .into()
}

fn challenge() -> Bytes {
    Bytes::from_static(
        b"<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head>\
          <body><noscript>Enable JavaScript and cookies to continue</noscript></body></html>",
    )
}
