//! Credentials in URLs that the gateway calls: collectors of traces, and webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::uri::{Authority, Parts};
use http::{HeaderValue, Request, Uri};
use percent_encoding::percent_decode_str;

/// Moves a user and a password from the URL to the `authorization` header, as browsers do. The HTTP client logs the
/// authority of a URL.
pub(crate) fn move_to_header<B>(request: &mut Request<B>) {
    let Some((user, rest)) = request.uri().authority().and_then(|it| it.as_str().rsplit_once('@')) else {
        return;
    };
    let credentials = STANDARD.encode(percent_decode_str(user).collect::<Vec<u8>>());
    let (value, authority) =
        (HeaderValue::try_from(format!("Basic {credentials}")), rest.parse::<Authority>());
    let mut parts = Parts::from(request.uri().clone());
    parts.authority = authority.ok();
    let (Ok(mut value), Ok(url)) = (value, Uri::from_parts(parts)) else { return };
    value.set_sensitive(true);
    *request.uri_mut() = url;
    request.headers_mut().entry(AUTHORIZATION).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_the_url_becomes_a_header() {
        let mut request = Request::post("http://user:p%40ss@collector:4318/v1/traces?x=1").body(()).unwrap();
        move_to_header(&mut request);
        assert_eq!(request.uri(), "http://collector:4318/v1/traces?x=1");
        assert_eq!(request.headers()[AUTHORIZATION], "Basic dXNlcjpwQHNz");

        let mut plain = Request::post("https://collector/").body(()).unwrap();
        move_to_header(&mut plain);
        assert!(plain.headers().is_empty());
    }
}
