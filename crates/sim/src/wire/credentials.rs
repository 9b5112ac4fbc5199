//! Finds the key in a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::handshake::protocols;
use super::route::Format;

/// Headers that can carry a credential, at any provider.
const CREDENTIAL_HEADERS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

/// Returns the key, and whether any credential arrived in another place than the key's.
///
/// Of several accepted headers, the first of the list counts.
pub(super) fn credentials(format: Format, headers: &HeaderMap, query: &str) -> (Option<String>, bool) {
    let accepted: &[&str] = match format {
        Format::OpenAi => &["authorization", "api-key"],
        Format::Anthropic | Format::AnthropicCompat => &["x-api-key", "authorization"],
        Format::Gemini => &["x-goog-api-key"],
        Format::GeminiCompat => &["authorization"],
    };
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("key="));
    let used = accepted.iter().find(|&&name| headers.contains_key(name));
    let from_header = used.and_then(|&name| header_secret(name, headers));
    let from_query = in_query.filter(|_| used.is_none() && format == Format::Gemini).map(str::to_owned);
    let carried = CREDENTIAL_HEADERS.iter().map(|&name| headers.get_all(name).iter().count()).sum::<usize>();
    let expected = usize::from(used.is_some());
    let in_protocols = protocols(headers).find_map(|it| it.strip_prefix("openai-insecure-api-key."));
    let from_protocols = in_protocols.filter(|_| used.is_none()).map(str::to_owned);
    let foreign = carried > expected
        || (in_query.is_some() && from_query.is_none())
        || (in_protocols.is_some() && from_protocols.is_none());
    (from_header.or(from_query).or(from_protocols), foreign)
}

fn header_secret(name: &str, headers: &HeaderMap) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    if name != AUTHORIZATION.as_str() {
        return Some(value.to_owned());
    }
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim().to_owned())
}
