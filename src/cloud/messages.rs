//! The body of Anthropic's Messages as clouds take it: without the members that the path names, and with members in
//! place of headers.

use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::body::ReplayBody;
use crate::cloud::outline::Outline;
use crate::provider::{ModelId, Unroutable, describe_body};

/// The differences between a cloud's body and Anthropic's.
pub(super) struct Form {
    /// The cloud's name for the version 2023-06-01.
    version: &'static str,
    removed: &'static [&'static str],
    /// Headers that become members. The first one becomes a list.
    moved: &'static [(&'static str, &'static str)],
}

/// A request of the Messages API in a cloud's form.
pub(super) struct Message {
    /// Name of the model, as the body had it.
    pub(super) model: String,
    pub(super) streams: bool,
    pub(super) body: ReplayBody,
}

/// Vertex AI (<https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>).
pub(super) const VERTEX: Form = Form { version: "vertex-2023-10-16", removed: &["model"], moved: &[] };

/// Vertex AI's count of tokens, whose path does not name the model (the SDK for Python, 2.14.0).
pub(super) const VERTEX_COUNT: Form = Form { removed: &[], ..VERTEX };

/// Bedrock (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>). The
/// user's profile as in the SDK for Python, 2.14.0.
pub(super) const BEDROCK: Form = Form {
    version: "bedrock-2023-05-31",
    removed: &["model", "stream"],
    moved: &[("anthropic-beta", "anthropic_beta"), ("anthropic-user-profile-id", "user_profile_id")],
};

/// The header that names the version of the API, which all clouds take as a member.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The version that clouds know by names of their own.
const FIRST_VERSION: &str = "2023-06-01";

/// Brings a request into a cloud's form. Waits for the end of a streamed body. Leaves the request as it is after an
/// error.
pub(super) async fn convert(
    form: &Form,
    parts: &mut Parts,
    body: &ReplayBody,
) -> Result<Message, Unroutable> {
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Unroutable::NotFound);
    }
    let pieces = body.pieces().await.ok_or(Unroutable::NotReplayable)?;
    let mut outline = Outline::default();
    if !pieces.show(|data, _| outline.push(data)).await {
        return Err(Unroutable::NotReplayable);
    }
    let members = outline.finish().ok_or(Unroutable::NotFound)?;
    let said = || parts.extensions.get::<ModelId>().map(ToString::to_string);
    let model = members.text("model").or_else(said).filter(|model| !model.is_empty());
    let model = model.ok_or(Unroutable::NotFound)?;
    let streams = members.get("stream") == Some("true");
    let more = form.members_of(&mut parts.headers);
    let changed = pieces.edit(members.edits(form.removed, &more));
    describe_body(&mut parts.headers, changed.len());
    Ok(Message { model, streams, body: ReplayBody::of_pieces(changed) })
}

// === impl Form ===

impl Form {
    /// Takes the headers that become members, and returns them as such.
    fn members_of(&self, headers: &mut HeaderMap) -> Vec<(&'static str, String)> {
        let version = headers.remove(VERSION);
        let version = version.as_ref().and_then(|version| version.to_str().ok());
        let version = version.filter(|version| *version != FIRST_VERSION).unwrap_or(self.version);
        let mut members = vec![("anthropic_version", Value::from(version).to_string())];
        for (index, (name, member)) in self.moved.iter().enumerate() {
            if let Some(value) = value_of(headers, name, index == 0) {
                headers.remove(*name);
                members.push((member, value));
            }
        }
        members
    }
}

/// Returns the value of a header as JSON: a list of the words in all its lines, or the text of the first line. `None` if
/// the request does not have it.
fn value_of(headers: &HeaderMap, name: &str, is_list: bool) -> Option<String> {
    let lines = headers.get_all(name).iter().filter_map(|line: &HeaderValue| line.to_str().ok());
    let mut lines = lines.map(str::trim).filter(|line| !line.is_empty());
    if !is_list {
        return Some(json!(lines.next()?).to_string());
    }
    let words: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| json!(words).to_string())
}
