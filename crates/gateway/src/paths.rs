//! Paths as people type them: folded slashes, native paths without a provider's name, and hints for unknown paths.

use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use memchr::{memchr, memmem};
use tower_key_rotation::provider::Endpoint;

use crate::shape::ANTHROPIC_VERSION;

/// Maximum number of typing errors in the name of a provider (2).
const TYPING_ERRORS: usize = 2;

/// Maximum length of a suggested path, in bytes (128).
const LONGEST: usize = 128;

/// Versions that are there twice. The second half of each is the version once.
const TWICE: [&str; 2] = ["/v1/v1/", "/v1beta/v1beta/"];

/// Services of Google's API that come before the version in a path: `/upload/v1beta/files`.
const GOOGLE_SERVICES: [&str; 4] = ["upload", "download", "resumable", "ws"];

/// Headers that Google's clients send.
const GOOGLE_HEADERS: [&str; 2] = ["x-goog-api-key", "x-goog-api-client"];

/// Splits a path into its first segment and the rest.
pub(crate) fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(memchr(b'/', path.as_bytes()).unwrap_or(path.len()))
}

/// Replaces several slashes in a row by one, and a version that is there twice by one: SDKs add the version to a base URL
/// that has it already.
pub(crate) fn fold(uri: &mut Uri) {
    let path = uri.path();
    let has = |part: &str| memmem::find(path.as_bytes(), part.as_bytes()).is_some();
    if !has("//") && !TWICE.into_iter().any(has) {
        return;
    }
    let mut path = String::with_capacity(path.len());
    for part in uri.path().split_inclusive('/') {
        if part != "/" || !path.ends_with('/') {
            path.push_str(part);
        }
    }
    for twice in TWICE {
        path = path.replace(twice, &twice[twice.len() / 2..]);
    }
    let query = uri.query().map(|query| ["?", query].concat()).unwrap_or_default();
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = PathAndQuery::try_from(path + &query).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Returns the endpoint of a request in the native API of a provider that the path does not name, as clients send it
/// whose base URL is the gateway itself.
pub(crate) fn native(path: &str, headers: &HeaderMap) -> Option<Endpoint> {
    let (first, rest) = split(path);
    let second = split(rest).0;
    if is_version(first) && first != "v1" || GOOGLE_SERVICES.contains(&first) {
        return Some(Endpoint::GenerateContent);
    }
    let endpoint = Endpoint::of_path(path);
    let in_v1 = first == "v1" && matches!(second, "messages" | "complete");
    match endpoint {
        Endpoint::GenerateContent => Some(endpoint),
        Endpoint::Chat | Endpoint::Completions | Endpoint::Embeddings | Endpoint::Responses if !in_v1 => None,
        _ if first == "v1" && GOOGLE_HEADERS.iter().any(|name| headers.contains_key(*name)) => {
            Some(Endpoint::GenerateContent)
        }
        _ if in_v1 || (first == "v1" && headers.contains_key(ANTHROPIC_VERSION)) => Some(Endpoint::Messages),
        _ => None,
    }
}

/// Returns whether a path of a native API is a call that each provider of the API can serve: it makes no object, and
/// names none in its path.
pub(crate) fn any_can_serve(endpoint: Endpoint, path: &str) -> bool {
    match endpoint {
        Endpoint::Messages => path.ends_with("/messages") || path.ends_with("/messages/count_tokens"),
        _ => ["generateContent", "streamGenerateContent", "countTokens"]
            .iter()
            .any(|method| path.strip_suffix(method).is_some_and(|model| model.ends_with(':'))),
    }
}

/// Returns the path that was probably meant by an unknown one.
pub(crate) fn meant<'a>(path: &str, providers: impl Iterator<Item = &'a str>) -> Option<String> {
    let (first, rest) = split(path);
    let distance = |name: &&str| strsim::damerau_levenshtein(name, &first.to_ascii_lowercase());
    let near = providers.min_by_key(distance);
    if let Some(name) = near.filter(|name| !first.is_empty() && distance(name) <= TYPING_ERRORS) {
        let rest = if rest.len() > 1 { rest } else { "/v1" };
        return short(format!("/{name}{rest}"));
    }
    let version = match Endpoint::of_path(path) {
        Endpoint::Other => return None,
        Endpoint::GenerateContent => "v1beta",
        _ => "v1",
    };
    let known = |from: &&str| Endpoint::of_path(split(from).0) != Endpoint::Other;
    let mut ends = path.match_indices('/').map(|(at, _)| &path[at..]);
    let start = match version {
        "v1beta" => ends.rev().find(|end| end.starts_with("/models/")),
        _ => ends.find(known),
    };
    short(format!("/{version}{}", start?))
}

/// Returns whether a segment is the version of an API: `v1`, `v1beta`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn short(path: String) -> Option<String> {
    (path.len() <= LONGEST).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_folded() {
        for (given, folded) in [
            ("//v1//chat/completions", "/v1/chat/completions"),
            ("/v1/x//?a=//b", "/v1/x/?a=//b"),
            ("/v1/v1/messages", "/v1/messages"),
            ("/anthropic/v1/v1//messages?a=/v1/v1/", "/anthropic/v1/messages?a=/v1/v1/"),
            ("/v1beta/v1beta/models/g:x", "/v1beta/models/g:x"),
            ("/v1/v1x/v1/v1", "/v1/v1x/v1/v1"),
            ("///", "/"),
            ("/v1/x", "/v1/x"),
        ] {
            let mut uri = given.parse().unwrap();
            fold(&mut uri);
            assert_eq!(uri.to_string(), folded);
        }
    }

    #[test]
    fn native_paths_are_recognized() {
        let none = HeaderMap::new();
        let anthropic: HeaderMap =
            [(ANTHROPIC_VERSION.parse().unwrap(), "2023-06-01".parse().unwrap())].into_iter().collect();
        let google: HeaderMap =
            [("x-goog-api-key".parse().unwrap(), "k".parse().unwrap())].into_iter().collect();
        for (path, headers, endpoint) in [
            ("/v1/models", &google, Some(Endpoint::GenerateContent)),
            ("/v1/files/abc", &google, Some(Endpoint::GenerateContent)),
            ("/v1/chat/completions", &google, None),
            ("/v1/messages", &none, Some(Endpoint::Messages)),
            ("/v1/messages/count_tokens", &none, Some(Endpoint::Messages)),
            ("/v1/models", &none, None),
            ("/v1/models", &anthropic, Some(Endpoint::Messages)),
            ("/v1/chat/completions", &anthropic, None),
            ("/v1/threads/thread_1/messages", &none, None),
            ("/v1beta/models/g:generateContent", &none, Some(Endpoint::GenerateContent)),
            ("/v1/models/g:streamGenerateContent", &none, Some(Endpoint::GenerateContent)),
            ("/v1beta/files", &none, Some(Endpoint::GenerateContent)),
            ("/upload/v1beta/files", &none, Some(Endpoint::GenerateContent)),
            ("/v1/responses", &none, None),
        ] {
            assert_eq!(native(path, headers), endpoint, "{path}");
        }
    }

    #[test]
    fn an_unknown_path_has_a_meaning() {
        for (path, suggestion) in [
            ("/chat/completions", Some("/v1/chat/completions")),
            ("/api/v1/chat/completions", Some("/v1/chat/completions")),
            ("/antropic/v1/messages", Some("/anthropic/v1/messages")),
            ("/OpenAI/v1/models", Some("/openai/v1/models")),
            ("/openai", Some("/openai/v1")),
            ("/messages", Some("/v1/messages")),
            ("/models/g:generateContent", Some("/v1beta/models/g:generateContent")),
            ("/favicon.ico", None),
            ("/", None),
        ] {
            let providers = ["openai", "anthropic", "gemini"].into_iter();
            assert_eq!(meant(path, providers).as_deref(), suggestion, "{path}");
        }
    }
}
