//! The model that the body of a request names.
//!
//! A body names its model in the top-level member `model` of a JSON document, or in the field `model` of a
//! form. Nested members, quoted text and values do not count. Of two members with that name the last counts,
//! as the parsers of providers read it.
//!
//! A document is parsed only as far as it could name another model: if the text behind the first name has
//! neither `"model"` nor an escape that may stand for it, it is not parsed.
//!
//! A limit may depend on the name, so some callers need to be sure: [`NamedModel::is_sure`] tells whether a
//! provider that reads the body cannot find another name in it. Broken documents, other text encodings and
//! forms with two different names are not sure.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::provider::form;
use crate::provider::model::ModelId;

/// The model that a body names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedModel {
    pub(crate) model: Option<ModelId>,
    /// Whether no reader of the body finds another model.
    pub(crate) is_sure: bool,
}

/// The member's name. A finder is built once, since building it costs more than it takes to search a short document.
static MODEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"model\""));

/// The beginning of an escape that may stand for a letter of the name.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u"));

/// Mark at the beginning of a UTF-8 text, which some parsers skip.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Maximum length of the JSON text of a name: each byte may be written as `\u0000`, between two quotes.
const LONGEST_VALUE: usize = 6 * ModelId::MAX_LEN + 2;

pub(crate) fn read(content_type: Option<&[u8]>, frames: &[Bytes]) -> NamedModel {
    let all: Cow<'_, [u8]> = match frames {
        [frame] => Cow::Borrowed(frame),
        frames => Cow::Owned(frames.concat()),
    };
    match content_type.filter(|content_type| form::is_form(content_type)) {
        Some(content_type) => in_form(content_type, &all),
        None => in_json(&all),
    }
}

fn in_form(content_type: &[u8], body: &[u8]) -> NamedModel {
    let Some(names) = form::models(content_type, body) else { return NamedModel::default() };
    let Some(last) = names.last() else { return NamedModel { model: None, is_sure: true } };
    let model = ModelId::new(last);
    // Servers differ in which of two fields counts.
    let is_sure = model.is_some() && names.iter().all(|name| name == last);
    NamedModel { model, is_sure }
}

fn in_json(document: &[u8]) -> NamedModel {
    let text = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    if text.trim_ascii_start().first() != Some(&b'{') {
        let is_sure = text.is_empty() || serde_json::from_slice::<IgnoredAny>(text).is_ok();
        return NamedModel { model: None, is_sure };
    }
    let mut last = None;
    let is_whole = each_model(text, |value| last = Some(value));
    let name = last.map(name_of);
    let is_sure = is_whole && !matches!(name, Some(Name::None));
    NamedModel { model: name.and_then(Name::model), is_sure }
}

enum Name {
    Model(ModelId),
    /// The value `null`, which counts as an absent member.
    Null,
    None,
}

impl Name {
    fn model(self) -> Option<ModelId> {
        match self {
            Self::Model(model) => Some(model),
            Self::Null | Self::None => None,
        }
    }
}

fn name_of(value: &str) -> Name {
    if value.len() > LONGEST_VALUE {
        // Reading it would copy it, and a request may be as large as its sender likes.
        return Name::None;
    }
    match serde_json::from_str::<Option<String>>(value) {
        Ok(None) => Name::Null,
        Ok(Some(name)) => ModelId::new(&name).map_or(Name::None, Name::Model),
        Err(_) => Name::None,
    }
}

/// Calls `show` with the text of the value of each top-level member `model`, in order. Each is a slice of the
/// document.
///
/// Returns whether the document was read as far as it can have such members.
pub(crate) fn each_model<'de>(document: &'de [u8], mut show: impl FnMut(&'de str)) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(document);
    let mut is_last = false;
    let walk = TopLevel { document, show: &mut show, is_last: &mut is_last };
    let walked = walk.deserialize(&mut reader).is_ok() && reader.end().is_ok();
    walked || is_last
}

/// A visitor of the top-level members of a document.
struct TopLevel<'a, 'de> {
    document: &'de [u8],
    show: &'a mut dyn FnMut(&'de str),
    /// Set if no further member `model` follows the last value that was shown.
    is_last: &'a mut bool,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Model,
    #[serde(other)]
    Other,
}

impl TopLevel<'_, '_> {
    /// Returns whether the text behind a value may have another member `model`.
    fn may_follow(&self, value: &str) -> bool {
        let end = value.as_ptr().addr() + value.len() - self.document.as_ptr().addr();
        let rest = &self.document[end..];
        MODEL.find(rest).is_some() || ESCAPE.find(rest).is_some()
    }
}

impl<'de> DeserializeSeed<'de> for TopLevel<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document that names a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
                Member::Model => {
                    let value = members.next_value::<&'de RawValue>()?.get();
                    (self.show)(value);
                    if !self.may_follow(value) {
                        *self.is_last = true;
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &[u8]) -> (Option<String>, bool) {
        let whole = read(None, &[Bytes::copy_from_slice(body)]);
        for at in 0..body.len() {
            let (head, tail) = body.split_at(at);
            let frames = [Bytes::copy_from_slice(head), Bytes::new(), Bytes::copy_from_slice(tail)];
            assert_eq!(read(None, &frames), whole, "cut at {at}");
        }
        (whole.model.map(|model| model.to_string()), whole.is_sure)
    }

    fn model(body: &str) -> Option<String> {
        named(body.as_bytes()).0
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
    fn the_last_of_two_members_counts() {
        for (body, expected) in [
            (r#"{"model":"cheap","model":"pricey"}"#, Some("pricey")),
            (r#"{"model":"cheap","x":1,"mod\u0065l":"pricey","y":{}}"#, Some("pricey")),
            (r#"{"model":"pricey","x":{"model":"cheap"}}"#, Some("pricey")),
            (r#"{"model":"pricey","x":"\u0065"}"#, Some("pricey")),
            (r#"{"model":{"a":1},"model":"pricey"}"#, Some("pricey")),
            (r#"{"model":"cheap","model":null}"#, None),
        ] {
            assert_eq!(named(body.as_bytes()), (expected.map(str::to_owned), true), "{body}");
        }
    }

    #[test]
    fn what_another_reader_may_take_for_another_name_is_not_sure() {
        let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(257));
        let utf16: Vec<u8> = r#"{"model":"m"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in [
            long.as_bytes(),
            &utf16,
            br#"{"model":"a\nb"}"#,
            br#"{"model":5}"#,
            br#"{"model":""}"#,
            br#"{"temperature":NaN,"model":"m"}"#,
            br#"{"model":"cheap","x":NaN,"model":"m"}"#,
            br#"{"model":"cheap","model":"#,
            br#"{"model":"cheap","model":5}"#,
            b"\x1f\x8b\x08",
            b"model=m",
        ] {
            assert!(!named(body).1, "{}", String::from_utf8_lossy(body));
        }
        for body in [&b""[..], b"{}", b"[1]", b"\xef\xbb\xbf{\"model\":\"m\"}", br#"{"messages":[]}"#] {
            assert!(named(body).1, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn the_field_of_a_form() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\
                    name=\"model\"\r\n\r\nno\r\n--X\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n\
                    whisper-1\r\n--X--\r\n";
        let content_type = b"multipart/form-data; boundary=X";
        let (head, tail) = body.split_at(70);
        for frames in [&[Bytes::from(body)][..], &[Bytes::from(head), Bytes::from(tail)]] {
            assert_eq!(read(Some(content_type), frames).model.unwrap().as_str(), "whisper-1");
        }
    }

    #[test]
    fn a_form_with_two_names_is_not_sure() {
        let content_type = b"multipart/form-data; boundary=\"b\"";
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n")
        };
        for (parts, expected, is_sure) in [
            (vec![("name=\"model\"", "m")], Some("m"), true),
            (vec![("name=model", "m")], Some("m"), true),
            (vec![("filename=\"name=x; model\"; NAME=\"model\"", "m")], Some("m"), true),
            (vec![("name=\"model\"", "m"), ("name=model", "m")], Some("m"), true),
            (vec![("name=\"model\"", "cheap"), ("name=model", "m")], Some("m"), false),
            (vec![("name=\"file\"; filename=\"name=model\"", "m")], None, true),
            (vec![], None, true),
        ] {
            let body = parts.iter().map(|(name, value)| part(name, value)).collect::<String>() + "--b--\r\n";
            let found = read(Some(content_type), &[Bytes::from(body.clone())]);
            assert_eq!(
                (found.model.as_ref().map(ModelId::as_str), found.is_sure),
                (expected, is_sure),
                "{body}"
            );
        }
        let none = b"multipart/form-data";
        assert!(!read(Some(none), &[Bytes::from(part("name=\"model\"", "m"))]).is_sure);
    }
}
