//! The call that a caller's path makes, and the part of the path before it.

use crate::provider::Endpoint;

/// A call in one of the dialects. A tail begins with a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call<'a> {
    Messages,
    CountTokens,
    /// `/models/MODEL:METHOD`, of Google's API.
    Google(&'a str),
    /// A path of OpenAI's API without its version.
    OpenAi(&'a str),
    /// A path that is none of these, or that the cloud itself has.
    Other,
}

/// Methods of Google's API whose bodies are the same at AI Studio and Vertex AI.
const METHODS: [&str; 5] =
    ["generateContent", "streamGenerateContent", "countTokens", "predict", "predictLongRunning"];

impl<'a> Call<'a> {
    /// Returns the part of a path before the call, and the call.
    pub(super) fn of(path: &'a str) -> (&'a str, Self) {
        if let Some(at) = path.rfind("/models/").filter(|at| is_google(&path[*at..])) {
            return (without_version(&path[..at]), Self::Google(&path[at..]));
        }
        if has_google_method(path) {
            return ("", Self::Other);
        }
        let start = behind_location(path);
        // OpenAI's threads and completions have messages too.
        if Endpoint::of_path(&path[start..]) == Endpoint::Messages {
            let calls = [("/messages", Self::Messages), ("/messages/count_tokens", Self::CountTokens)];
            let of = |(end, call)| Some((without_version(path.strip_suffix(end)?), call));
            return calls.into_iter().find_map(of).unwrap_or(("", Self::Other));
        }
        let mut starts = path[start..].match_indices('/').map(|(at, _)| start + at);
        let is_known = |at: &usize| {
            let first = path[at + 1..].split('/').next().unwrap_or_default();
            !matches!(Endpoint::of_path(first), Endpoint::Other | Endpoint::Messages)
        };
        match starts.find(is_known) {
            Some(at) => (without_version(&path[..at]), Self::OpenAi(&path[at..])),
            None => ("", Self::Other),
        }
    }
}

fn is_google(tail: &str) -> bool {
    let model = tail.strip_prefix("/models/").filter(|model| !model.contains('/'));
    let method = model.and_then(|model| Some(model.rsplit_once(':')?.1));
    method.is_some_and(|method| METHODS.contains(&method))
}

/// Returns whether a path ends with another method of Google's API: `/models/MODEL:embedContent`. OpenAI's names of
/// fine-tuned models have colons too: `/models/ft:gpt-4o:me`.
fn has_google_method(path: &str) -> bool {
    let Some((object, method)) = path.rsplit_once('/').and_then(|(_, last)| last.rsplit_once(':')) else {
        return false;
    };
    let is_method = method.starts_with(|first: char| first.is_ascii_lowercase())
        && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    let of_google = ["/v1beta/", "/v1alpha/"].iter().any(|version| path.contains(version));
    is_method
        && !object.starts_with("ft:")
        && (of_google || method.contains(|c: char| c.is_ascii_uppercase()))
}

/// Returns the end of the project and the location in a path of Vertex AI, whose names are not those of endpoints.
pub(super) fn behind_location(path: &str) -> usize {
    let name = path.find("/locations/").map(|at| at + "/locations/".len());
    name.map_or(0, |name| path[name..].find('/').map_or(path.len(), |end| name + end))
}

/// Removes the version of the caller's API from the end of a path.
fn without_version(base: &str) -> &str {
    let versions = ["/v1", "/v1beta", "/v1alpha"];
    versions.iter().find_map(|version| base.strip_suffix(version)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_behind_any_base() {
        let vertex = "/v1/projects/images/locations/us-east5";
        for (path, base, call) in [
            ("/v1/messages", "", Call::Messages),
            ("/messages", "", Call::Messages),
            ("/proxy/v1/messages/count_tokens", "/proxy", Call::CountTokens),
            ("/v1/messages/batches", "", Call::Other),
            ("/v1/threads/t/messages", "", Call::OpenAi("/threads/t/messages")),
            ("/v1/threads/t/messages/m", "", Call::OpenAi("/threads/t/messages/m")),
            ("/v1/chat/completions/c/messages", "", Call::OpenAi("/chat/completions/c/messages")),
            (&format!("{vertex}/v1/messages"), vertex, Call::Messages),
            (&format!("{vertex}/chat/completions"), vertex, Call::OpenAi("/chat/completions")),
            (&format!("{vertex}/v1beta/models/g:countTokens"), vertex, Call::Google("/models/g:countTokens")),
            (&format!("{vertex}/v1/tea"), "", Call::Other),
            ("/v1beta/models/g:embedContent", "", Call::Other),
            ("/v1/models/g:embedContent", "", Call::Other),
            ("/v1beta/tunedModels/g:generateContent", "", Call::Other),
            ("/v1beta/files/f:download", "", Call::Other),
            ("/v1/models/ft:gpt-4o:me", "", Call::OpenAi("/models/ft:gpt-4o:me")),
            ("/v1/models/ft:gpt-4o:my-org::abcDEF", "", Call::OpenAi("/models/ft:gpt-4o:my-org::abcDEF")),
            ("/v1/models/llama3:latest", "", Call::OpenAi("/models/llama3:latest")),
            ("/v1/chat/completions", "", Call::OpenAi("/chat/completions")),
            ("/v1/images/edits", "", Call::OpenAi("/images/edits")),
        ] {
            assert_eq!(Call::of(path), (base, call), "{path}");
        }
    }
}
