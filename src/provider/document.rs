//! The model that the body of a request names.
//!
//! A body names its model in the top-level member `model` of a JSON document, or in the field `model` of a
//! form. Nested members, quoted text and values do not count. Of two members with that name the last counts,
//! as the parsers of providers read it.
//!
//! A limit may depend on the name, so some callers need to be sure: [`NamedModel::is_sure`] tells whether a
//! provider that reads the body cannot find another name in it. Broken documents, other text encodings and
//! forms with two different names are not sure.

use crate::provider::model::{ModelId, ModelPath, without_collection};
use crate::provider::search::{Found, Name};

/// The model that a body names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedModel {
    pub(crate) model: Option<ModelId>,
    /// Whether no reader of the body finds another model.
    pub(crate) is_sure: bool,
}

// === impl NamedModel ===

impl NamedModel {
    /// Writes the name as paths of this kind write it.
    pub(super) fn written_in(self, path: ModelPath) -> Self {
        let model = if path == ModelPath::Google { self.model.map(without_collection) } else { self.model };
        Self { model, ..self }
    }
}

impl From<Found> for NamedModel {
    fn from(found: Found) -> Self {
        let name = found.last();
        let is_sure = found.is_whole && name != Some(Name::None) && !found.is_ambiguous();
        let model = match name {
            Some(Name::Model(model)) => Some(model),
            Some(Name::Null | Name::None) | None => None,
        };
        Self { model, is_sure }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::provider::search::search;

    fn read(content_type: Option<&[u8]>, frames: &[Bytes]) -> NamedModel {
        search(content_type, frames).into()
    }

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
            (r#"{"model":"pricey","x":{"Model":"cheap"},"y":"Model"}"#, Some("pricey")),
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
            br#"{"model":"cheap","Model":"pricey"}"#,
            br#"{"MODEL":"pricey","model":"cheap"}"#,
            br#"{"mODe\u006c":"pricey"}"#,
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
            (vec![("name=\"mod\\el\"", "cheap"), ("name=model", "m")], Some("m"), false),
            (vec![("name=x; name*=utf-8''mod%65l", "cheap"), ("name=model", "m")], Some("m"), false),
            (vec![("\r\n name=model", "m")], Some("m"), true),
            (vec![("name=model\r\nContent-Transfer-Encoding : Base64", "bQ==")], Some("bQ=="), false),
            (vec![("name=model\r\nContent-Transfer-Encoding: 8BIT", "m")], Some("m"), true),
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
