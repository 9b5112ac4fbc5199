//! The operation of a request, in the words of OpenTelemetry's conventions for generative AI.

use http::{Method, request};
use tower_key_rotation::provider::Endpoint;

/// Returns the operation of a request, if it calls a model.
pub(super) fn of(head: &request::Parts) -> Option<&'static str> {
    let path = head.uri.path();
    if head.method != Method::POST {
        return None;
    }
    match Endpoint::of_path(path) {
        Endpoint::Chat | Endpoint::Responses => Some("chat"),
        Endpoint::Messages => path.ends_with("/messages").then_some("chat"),
        Endpoint::Completions => Some("text_completion"),
        Endpoint::Embeddings => Some("embeddings"),
        Endpoint::GenerateContent if path.contains("mbedContent") => Some("embeddings"),
        Endpoint::GenerateContent => path.contains("enerateContent").then_some("generate_content"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_operations() {
        let of = |path: &str| of(&http::Request::post(path).body(()).unwrap().into_parts().0);
        assert_eq!(of("/v1/chat/completions"), Some("chat"));
        assert_eq!(of("/anthropic/v1/messages"), Some("chat"));
        assert_eq!(of("/v1/messages/count_tokens"), None);
        assert_eq!(of("/v1/embeddings"), Some("embeddings"));
        assert_eq!(of("/v1beta/models/gemini:streamGenerateContent"), Some("generate_content"));
        assert_eq!(of("/v1beta/models/gemini:batchEmbedContents"), Some("embeddings"));
        assert_eq!(of("/v1/files"), None);
    }
}
