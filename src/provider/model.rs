//! The model that a request names.
//!
//! Most limits concern one model, so a pool has to know the model before it picks a key. Most requests name
//! it in the body (see [`document`](crate::provider::document)), some in the path.

use std::borrow::Cow;
use std::sync::Arc;

use http::Uri;
use percent_encoding::percent_decode_str;

use crate::text::name;

name! {
    /// The name of a model as a request writes it. Cheap to clone.
    ///
    /// As an extension of a request it sets the model, and takes precedence over the body.
    ///
    /// A name has at most [`MAX_LEN`](Self::MAX_LEN) bytes and no control characters, however it was created:
    /// callers choose names, and pools, events, snapshots, errors and logs keep them. Conversions repair a text
    /// that [`new`](Self::new) refuses: it is cut after at most 256 bytes, and each control character becomes U+FFFD.
    ModelId, from = repaired
}

/// The place where the path of a request names the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelPath {
    /// The path does not name the model.
    None,
    /// `/models/MODEL:METHOD`, as in Gemini and Vertex AI. A model of another collection is named with it:
    /// `tunedModels/NAME`, `endpoints/ID`, `dynamic/ID`.
    Google,
    /// `/deployments/DEPLOYMENT/…` in any case, as in Azure OpenAI, where limits belong to deployments; or
    /// `/engines/ENGINE/…`, its predecessor.
    Azure,
    /// `/model/MODEL/…`, percent-encoded, as in Bedrock.
    Bedrock,
    /// `/ai/run/@VENDOR/…`, including the slashes of the name, as in Cloudflare Workers AI.
    Cloudflare,
}

// === impl ModelId ===

impl ModelId {
    /// Maximum length of a name in bytes (256). The longest names that a provider documents, those of
    /// fine-tuned models, have less than half of it.
    pub const MAX_LEN: usize = 256;

    /// Creates a name from a caller's text; `None` if the text is empty, longer than
    /// [`MAX_LEN`](Self::MAX_LEN), or has control characters.
    ///
    /// ```
    /// use tower_key_rotation::ModelId;
    ///
    /// assert!(ModelId::new("gpt-4o").is_some());
    /// assert!(ModelId::new("gpt-4o\n").is_none());
    /// assert!(ModelId::new(&"x".repeat(257)).is_none());
    /// ```
    pub fn new(name: &str) -> Option<Self> {
        let is_name = !name.is_empty() && name.len() <= Self::MAX_LEN && !has_control(name);
        is_name.then(|| Self(Arc::from(name)))
    }
}

/// Returns whether a text has a control character. Mostly it is plain ASCII, which is found out sooner.
fn has_control(text: &str) -> bool {
    !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.contains(char::is_control)
}

/// Returns the text of a name that a program or its operator has written.
fn repaired(name: &str) -> Arc<str> {
    if name.len() <= ModelId::MAX_LEN && !has_control(name) {
        return Arc::from(name);
    }
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut cut = String::with_capacity(ModelId::MAX_LEN);
    for c in name.chars().map(shown) {
        if cut.len() + c.len_utf8() > ModelId::MAX_LEN {
            break;
        }
        cut.push(c);
    }
    Arc::from(cut)
}

// === impl ModelPath ===

impl ModelPath {
    /// Every place that can be recognised by the shape of a path alone.
    pub(crate) const ALL: [Self; 4] = [Self::Google, Self::Azure, Self::Bedrock, Self::Cloudflare];

    /// Returns the model in the path of a request, however the path is written.
    pub(crate) fn find(self, uri: &Uri) -> Option<ModelId> {
        if self == Self::None { None } else { decoded(self.encoded(&plain(uri.path()))?) }
    }

    /// Returns the part of a path that names the model, still percent-encoded.
    pub(crate) fn encoded(self, path: &str) -> Option<&str> {
        let segment = |before: &str| path.split_once(before)?.1.split('/').next();
        match self {
            Self::None => None,
            Self::Google => segment("/models/").and_then(before_colon).or_else(|| collected(path)),
            Self::Azure => behind(path, "/deployments/").or_else(|| behind(path, "/engines/")),
            Self::Bedrock => segment("/model/"),
            Self::Cloudflare => Some(path.split_once("/ai/run/")?.1),
        }
    }
}

/// Returns a path as servers may read it (RFC 3986, section 6.2.2): letters, digits and `-._~` are not percent-encoded,
/// and there are no empty segments and no dot segments.
fn plain(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()).map(without_needless_escapes) {
        match &*segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

/// Returns whether a path has no escapes, no empty segments and no segments that begin with a dot.
pub(crate) fn is_plain(path: &str) -> bool {
    let odd = [&b"%"[..], b"//", b"/."];
    !odd.into_iter().any(|odd| memchr::memmem::find(path.as_bytes(), odd).is_some())
}

fn without_needless_escapes(segment: &str) -> Cow<'_, str> {
    let mut parts = segment.split('%');
    let mut plain = Cow::Borrowed(parts.next().unwrap_or_default());
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()).map(char::from);
        match code.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')) {
            Some(needless) => plain.to_mut().extend([needless.encode_utf8(&mut [0; 4]), &part[2..]]),
            None => plain.to_mut().extend(["%", part]),
        }
    }
    plain
}

/// Returns the text before the last colon of a segment, which may be percent-encoded.
fn before_colon(segment: &str) -> Option<&str> {
    let colons = [":", "%3A", "%3a"].into_iter().filter_map(|colon| segment.rfind(colon));
    colons.max().map(|at| &segment[..at])
}

/// Returns the segment behind another one, which may be written in any case.
fn behind<'a>(path: &'a str, segment: &str) -> Option<&'a str> {
    let is_it = |window: &[u8]| window.eq_ignore_ascii_case(segment.as_bytes());
    let at = path.as_bytes().windows(segment.len()).position(is_it)?;
    path[at + segment.len()..].split('/').next()
}

/// Collections of Google's whose members are called like models: tuned ones, those at an endpoint of Vertex AI, dynamic ones.
const COLLECTIONS: [&str; 3] = ["/tunedModels/", "/endpoints/", "/dynamic/"];

/// Returns the name of a model of another collection than `models`, with its collection: `tunedModels/my-model`.
fn collected(path: &str) -> Option<&str> {
    COLLECTIONS.into_iter().find_map(|collection| {
        let start = path.find(collection)?;
        let behind = start + collection.len();
        let name = path[behind..].split('/').next().and_then(before_colon)?;
        Some(&path[start + 1..behind + name.len()])
    })
}

/// Returns whether a name has its collection before it. Such a model exists under its own name only.
pub(super) fn is_collected(name: &str) -> bool {
    COLLECTIONS.into_iter().any(|collection| name.starts_with(&collection[1..]))
}

/// Returns Gemini's name of a model as its paths write it. Its OpenAI-compatible endpoint also accepts the
/// name with its collection: `models/gemini-2.5-flash` (`ai.google.dev/api/models`).
pub(super) fn without_collection(model: ModelId) -> ModelId {
    match model.as_str().strip_prefix("models/").and_then(ModelId::new) {
        Some(name) => name,
        None => model,
    }
}

/// Decodes the part of a path that names a model.
pub(crate) fn decoded(encoded: &str) -> Option<ModelId> {
    ModelId::new(&percent_decode_str(encoded).decode_utf8().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, uri, expected) in [
            (
                ModelPath::Google,
                "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
                Some("gemini-2.5-pro"),
            ),
            (ModelPath::Google, "/v1/projects/p/locations/l/publishers/google/models/m:predict", Some("m")),
            (ModelPath::Google, "/v1beta/models/gemini-2.5-pro%3AgenerateContent", Some("gemini-2.5-pro")),
            (ModelPath::Google, "/v1beta/models/a:b%3acountTokens", Some("a:b")),
            (ModelPath::Google, "/v1beta/tunedModels/mine:generateContent", Some("tunedModels/mine")),
            (ModelPath::Google, "/v1beta/%6Dod%65ls/%67emini:generateContent", Some("gemini")),
            (ModelPath::Google, "//v1beta//models//m:generateContent", Some("m")),
            (ModelPath::Google, "/v1beta/models/a/%2e%2E/m:generateContent", Some("m")),
            (ModelPath::Google, "/v1beta/models/a%2Fb%:generateContent", Some("a/b%")),
            (ModelPath::Azure, "/openai/./deployment%73/m/chat/completions", Some("m")),
            (ModelPath::Google, "/v1/projects/p/locations/l/endpoints/1:predict", Some("endpoints/1")),
            (ModelPath::Google, "/v1beta/dynamic/1:generateContent", Some("dynamic/1")),
            (ModelPath::Google, "/v1/projects/p/locations/l/endpoints/openapi/chat/completions", None),
            (ModelPath::Google, "/v1beta/tunedModels/mine", None),
            (ModelPath::Google, "/v1beta/openai/chat/completions", None),
            (ModelPath::Google, "/v1beta/models", None),
            (ModelPath::Azure, "/openai/deployments/my%20gpt/chat/completions", Some("my gpt")),
            (ModelPath::Azure, "/OpenAI/Deployments/m/chat/completions", Some("m")),
            (ModelPath::Azure, "/v1/engines/m/completions", Some("m")),
            (ModelPath::Azure, "/openai/v1/responses", None),
            (
                ModelPath::Bedrock,
                "/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke",
                Some("anthropic.claude-3-haiku-20240307-v1:0"),
            ),
            (
                ModelPath::Cloudflare,
                "/client/v4/accounts/a/ai/run/@cf/meta/llama-3",
                Some("@cf/meta/llama-3"),
            ),
            (ModelPath::None, "/v1beta/models/m:generateContent", None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(path.find(&uri).as_ref().map(ModelId::as_str), expected, "{uri}");
        }
    }
}
