//! Which model a request asks for.
//!
//! A limit mostly concerns one model, so a pool has to know the model before it picks a key. Most
//! requests name it in the body, some in the path. A body is read only as far as needed: the scan stops
//! at the top-level member `model`, does not copy a body that came in several frames, and takes no
//! `model` for it that is nested, quoted, or a value.

use std::fmt;
use std::io::{BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use memchr::memmem;
use percent_encoding::percent_decode_str;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// The name of a model as a request writes it. Cheap to clone.
///
/// As an extension of a request it says which model is meant, before the body is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(Arc<str>);

/// Where the path of a request names the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelPath {
    /// It does not.
    None,
    /// `/models/MODEL:METHOD`: Gemini, Vertex.
    Google,
    /// `/deployments/DEPLOYMENT/…`: Azure OpenAI, where a deployment is what has limits.
    Azure,
    /// `/model/MODEL/…`, percent-encoded: Bedrock.
    Bedrock,
    /// `/ai/run/@VENDOR/…`, slashes included: Cloudflare Workers AI.
    Cloudflare,
}

// === impl ModelId ===

impl ModelId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self(Arc::from(name)))
    }
}

impl From<&str> for ModelId {
    fn from(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

impl From<String> for ModelId {
    fn from(name: String) -> Self {
        Self(Arc::from(name))
    }
}

impl AsRef<str> for ModelId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ModelPath ===

impl ModelPath {
    /// The places that are told apart by their shape alone.
    pub(crate) const ALL: [Self; 4] = [Self::Google, Self::Azure, Self::Bedrock, Self::Cloudflare];

    pub(super) fn find(self, uri: &Uri) -> Option<ModelId> {
        decoded(self.encoded(uri.path())?)
    }

    /// The part of a path that names the model, as it stands there.
    pub(crate) fn encoded(self, path: &str) -> Option<&str> {
        let segment = |before: &str| path.split_once(before)?.1.split('/').next();
        match self {
            Self::None => None,
            Self::Google => Some(segment("/models/")?.rsplit_once(':')?.0),
            Self::Azure => segment("/deployments/"),
            Self::Bedrock => segment("/model/"),
            Self::Cloudflare => Some(path.split_once("/ai/run/")?.1),
        }
    }
}

/// The name that a part of a path stands for.
pub(crate) fn decoded(encoded: &str) -> Option<ModelId> {
    ModelId::new(&percent_decode_str(encoded).decode_utf8().ok()?)
}

// === bodies ===

pub(super) fn in_body(content_type: Option<&HeaderValue>, frames: &[Bytes]) -> Option<ModelId> {
    if content_type.is_some_and(is_form) {
        return match frames {
            [frame] => in_form(frame),
            frames => in_form(&frames.concat()),
        };
    }
    let first = frames.iter().flat_map(|frame| frame.iter()).find(|byte| !byte.is_ascii_whitespace());
    (first == Some(&b'{')).then(|| in_json(frames)).flatten()
}

fn is_form(content_type: &HeaderValue) -> bool {
    const FORM: &[u8] = b"multipart/form-data";
    let start = content_type.as_bytes().trim_ascii_start().get(..FORM.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

fn in_json(frames: &[Bytes]) -> Option<ModelId> {
    let mut found = None;
    let seed = TopLevel { found: &mut found };
    // An error is no matter: what follows the model is not read, and a body may be cut off.
    let _ended = match frames {
        [frame] => seed.deserialize(&mut serde_json::Deserializer::from_slice(frame)).is_ok(),
        frames => {
            let reader = BufReader::new(Frames { frames, offset: 0 });
            seed.deserialize(&mut serde_json::Deserializer::from_reader(reader)).is_ok()
        }
    };
    found
}

fn in_form(body: &[u8]) -> Option<ModelId> {
    ModelId::new(form_value(body)?)
}

/// The value of the part named `model`, a slice of `body`.
pub(crate) fn form_value(body: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"name=\"model\"";
    let at = memmem::find_iter(body, NAME).find(|at| is_in_part_header(body, *at))?;
    let rest = &body[at + NAME.len()..];
    let value = &rest[memmem::find(rest, b"\r\n\r\n")? + 4..];
    let value = &value[..memmem::find(value, b"\r\n--")?];
    Some(std::str::from_utf8(value).ok()?.trim())
}

fn is_in_part_header(body: &[u8], at: usize) -> bool {
    let line = memchr::memrchr(b'\n', &body[..at]).map_or(0, |end| end + 1);
    body[line..at].to_ascii_lowercase().starts_with(b"content-disposition:")
}

/// Frames read one after the other.
struct Frames<'a> {
    frames: &'a [Bytes],
    offset: usize,
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let [frame, rest @ ..] = self.frames {
            let left = frame.get(self.offset..).unwrap_or_default();
            if left.is_empty() {
                (self.frames, self.offset) = (rest, 0);
                continue;
            }
            let count = left.len().min(buffer.len());
            buffer[..count].copy_from_slice(&left[..count]);
            self.offset += count;
            return Ok(count);
        }
        Ok(0)
    }
}

/// Walks the members of a document, keeping only `model`.
struct TopLevel<'a> {
    found: &'a mut Option<ModelId>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Model,
    #[serde(other)]
    Other,
}

/// A name, which is all that a model can be.
struct Name;

impl<'de> DeserializeSeed<'de> for TopLevel<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document that names a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
                Member::Model => {
                    *self.found = members.next_value_seed(Name)?;
                    break;
                }
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<ModelId>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<ModelId>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<ModelId>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a model")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<ModelId>, E> {
        Ok(ModelId::new(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(body: &str) -> Option<String> {
        let whole = in_body(None, &[Bytes::copy_from_slice(body.as_bytes())]).map(|model| model.to_string());
        for at in 0..body.len() {
            let (head, tail) = body.as_bytes().split_at(at);
            let frames = [Bytes::copy_from_slice(head), Bytes::new(), Bytes::copy_from_slice(tail)];
            assert_eq!(in_body(None, &frames).map(|model| model.to_string()), whole, "cut at {at}");
        }
        whole
    }

    #[test]
    fn only_the_top_level_member_counts() {
        assert_eq!(model(r#"{"model":"gpt-5","messages":[]}"#).as_deref(), Some("gpt-5"));
        assert_eq!(model(r#" {"messages":[{"model":"no"}],"model":"last"}"#).as_deref(), Some("last"));
        assert_eq!(model(r#"{"a":"\"model\":\"no\"","b":{"model":"no"}}"#), None);
        assert_eq!(model(r#"{"a":"model","model":null}"#), None);
        assert_eq!(model(r#"{"\u006dodel":"esc\u0061ped"}"#).as_deref(), Some("escaped"));
        assert_eq!(model(r#"{"model":"seen","messages":[{"rol"#).as_deref(), Some("seen"));
        assert_eq!(model(r#"{"model":"cut o"#), None);
        assert_eq!(model(r#"[{"model":"no"}]"#), None);
        assert_eq!(model(r#"{"model":""}"#), None);
        assert_eq!(model(""), None);
    }

    #[test]
    fn the_field_of_a_form() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\
                    name=\"model\"\r\n\r\nno\r\n--X\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n\
                    whisper-1\r\n--X--\r\n";
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=X");
        let (head, tail) = body.split_at(70);
        for frames in [&[Bytes::from(body)][..], &[Bytes::from(head), Bytes::from(tail)]] {
            assert_eq!(in_body(Some(&content_type), frames).unwrap().as_str(), "whisper-1");
        }
    }

    #[test]
    fn paths() {
        for (path, uri, expected) in [
            (
                ModelPath::Google,
                "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
                Some("gemini-2.5-pro"),
            ),
            (ModelPath::Google, "/v1/projects/p/locations/l/publishers/google/models/m:predict", Some("m")),
            (ModelPath::Google, "/v1beta/openai/chat/completions", None),
            (ModelPath::Google, "/v1beta/models", None),
            (ModelPath::Azure, "/openai/deployments/my%20gpt/chat/completions", Some("my gpt")),
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
