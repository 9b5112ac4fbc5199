//! The endpoint of a request, regardless of the object that it names.
//!
//! Two refusals at one endpoint are one piece of evidence against a key; two at different endpoints are two. Paths
//! contain ids (`/v1/files/file-abc123`), so all segments that look like an id count as equal: those with a digit,
//! and long ones. Versions and many model names look like ids too. That merges some endpoints, which is harmless.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::Method;

/// Length above which a segment counts as an id, in bytes (32).
const LONGEST_NAME: usize = 32;

/// Returns the hash of the method and of the path without ids.
pub(super) fn hash(method: &Method, path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    method.hash(&mut hasher);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        // Google puts the method behind the name: `models/NAME:generateContent`.
        let (name, action) = segment.split_once(':').unwrap_or((segment, ""));
        (if is_id(name) { "*" } else { name }, action).hash(&mut hasher);
    }
    hasher.finish()
}

fn is_id(segment: &str) -> bool {
    segment.len() > LONGEST_NAME || segment.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_make_an_endpoint() {
        for (one, other, are_one) in [
            ("/v1/files/file-abc123", "/v1/files/file-xyz789", true),
            ("/v1/files/", "/v1//files", true),
            ("/v1/files", "/v1/batches", false),
            ("/v1/files/file-1", "/v1/files", false),
            ("/v1beta/models/g-2:generateContent", "/v1beta/models/g-3:generateContent", true),
            ("/v1beta/models/g-2:generateContent", "/v1beta/models/g-2:countTokens", false),
        ] {
            let is_one = hash(&Method::GET, one) == hash(&Method::GET, other);
            assert_eq!(is_one, are_one, "{one} {other}");
        }
        assert_ne!(hash(&Method::GET, "/v1/files"), hash(&Method::POST, "/v1/files"));
    }
}
