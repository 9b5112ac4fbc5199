//! All names of models in a request, whichever of them a provider reads.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, request};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tower_key_rotation::{ModelId, Provider};

/// Length of the part of a body in which a model is looked for, for a log line (4 KiB).
const LIKELY: usize = 4 * 1024;

/// The names in a JSON body: every member `model`, the items of every member `models`, which is a list of alternatives at
/// OpenRouter, and those in its [`PARTS`].
#[derive(Default)]
struct Names(Vec<String>);

/// The names in a value: none in `null`, which counts as an absent member.
struct Value(Vec<String>);

/// The names in a part of a request: an object, or a list of objects.
struct Part(Vec<String>);

/// Members of a request that name models of their own, which are called and paid: a realtime session, whose secret lets a
/// browser call the provider itself; the requests of a batch of Anthropic's; tools, such as `image_generation`; evaluations.
const PARTS: [&str; 7] = [
    "session",
    "requests",
    "params",
    "tools",
    "data_source",
    "testing_criteria",
    "input_audio_transcription",
];

/// Members of a part that name models of their own: the transcription of a session, and the grader of an evaluation.
const INNER_PARTS: [&str; 4] = ["audio", "input", "transcription", "grader"];

/// Returns the names of models in a request. `None` if they can't be read with certainty.
///
/// A request without a body that names no model in its path names none. `in_path` is the model in the path.
pub(crate) fn model_names(
    head: &request::Parts,
    in_path: Option<ModelId>,
    body: &Bytes,
) -> Option<Vec<String>> {
    let mut names: Vec<_> = in_path.iter().map(|model| model.as_str().to_owned()).collect();
    if body.is_empty() {
        return Some(names);
    }
    if head.headers.get(CONTENT_ENCODING).is_some_and(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return None;
    }
    let content_type = head.headers.get(CONTENT_TYPE);
    if is_form(content_type) {
        names.push(in_form(content_type, body)?);
        return Some(names);
    }
    // Providers read JSON whatever the content type says.
    names.extend(serde_json::from_slice::<Names>(body).ok()?.0);
    Some(names)
}

/// Returns the model at the beginning of a body, for a log line.
pub(crate) fn likely_model(content_type: Option<&HeaderValue>, body: &Bytes) -> Option<ModelId> {
    let start = body.slice(..body.len().min(LIKELY));
    Provider::compatible("any").model_in_body(content_type, &[start])
}

fn is_form(content_type: Option<&HeaderValue>) -> bool {
    let essence = content_type.and_then(|it| it.to_str().ok()).unwrap_or_default().trim_start();
    essence.get(..19).is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data"))
}

/// Returns the model that a form names, if only one field may be read as a model.
fn in_form(content_type: Option<&HeaderValue>, body: &Bytes) -> Option<String> {
    let fields = memchr::memmem::find_iter(body, b"model").filter(|at| ends_with_name(&body[..*at]));
    if fields.count() > 1 {
        return None;
    }
    let named = Provider::compatible("form").only_model_in_body(content_type, std::slice::from_ref(body))?;
    Some(named.as_str().to_owned())
}

/// Returns whether the text of a head ends with `name=`, however it is written.
fn ends_with_name(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"\"").unwrap_or(text).trim_ascii_end();
    let name = text.strip_suffix(b"=").map(<[u8]>::trim_ascii_end);
    name.and_then(|name| name.last_chunk::<4>()).is_some_and(|name| name.eq_ignore_ascii_case(b"name"))
}

/// Returns the names in an object. `is_part`: it is a part of a request.
fn members<'de, A: MapAccess<'de>>(mut map: A, is_part: bool) -> Result<Vec<String>, A::Error> {
    let mut names = Vec::new();
    while let Some(member) = map.next_key::<String>()? {
        // Servers written in Go read members in any case.
        let is_any = |of: &[&str]| of.iter().any(|name| member.eq_ignore_ascii_case(name));
        if is_any(&["model", "models"]) {
            names.extend(map.next_value::<Value>()?.0);
        } else if is_any(&PARTS) || is_part && is_any(&INNER_PARTS) {
            names.extend(map.next_value::<Part>()?.0);
        } else if member.to_ascii_lowercase().ends_with("fallbacks") {
            fallbacks(&map.next_value()?, &mut names);
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(names)
}

/// Finds the names in fallbacks of LiteLLM: names, objects with a `model`, or lists of names for a name.
fn fallbacks(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::String(name) => names.push(name.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| fallbacks(item, names)),
        serde_json::Value::Object(members) => match members.get("model") {
            Some(model) => fallbacks(model, names),
            None => members.values().for_each(|member| fallbacks(member, names)),
        },
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Names, A::Error> {
                members(map, false).map(Names)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

/// Reads objects, and lists of them. Anything else names no model.
struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
        members(map, true).map(Part)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
        let mut names = Vec::new();
        while let Some(part) = seq.next_element::<Part>()? {
            names.extend(part.0);
        }
        Ok(Part(names))
    }

    fn visit_str<E>(self, _: &str) -> Result<Part, E> {
        Ok(Part(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
        Ok(Part(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
        Ok(Part(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Part, E> {
        Ok(Part(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
        Ok(Part(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part(Vec::new()))
    }
}

impl<'de> Deserialize<'de> for Value {
    /// Fails for anything that servers may read as a name in ways of their own.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Vec::new(),
            serde_json::Value::Array(items) => items,
            one => vec![one],
        };
        let name = |value: &serde_json::Value| Some(ModelId::new(value.as_str()?)?.as_str().to_owned());
        let names = values.iter().map(|value| name(value).ok_or_else(|| D::Error::custom("not a name")));
        names.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn names(content_type: &str, body: &'static str) -> Option<Vec<String>> {
        let request =
            Request::post("/v1/chat/completions").header(CONTENT_TYPE, content_type).body(()).unwrap();
        model_names(&request.into_parts().0, None, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn every_name_is_found() {
        let json = "application/json";
        for (body, expected) in [
            (r#"{"model":"a","messages":[{"model":"inner"}]}"#, &["a"][..]),
            (r#"{"model":"a","model":"b"}"#, &["a", "b"]),
            (r#"{"mod\u0065l":"a"}"#, &["a"]),
            (r#"{"model":"a","Model":"b","MODELS":["c"]}"#, &["a", "b", "c"]),
            (r#"{"model":"a","models":["b","c"]}"#, &["a", "b", "c"]),
            (r#"{"session":{"type":"realtime","model":"a"},"model":"b"}"#, &["a", "b"]),
            (r#"{"session":"x"}"#, &[]),
            (r#"{"session":{"model":"a","model":"b"}}"#, &["a", "b"]),
            (r#"{"model":"a","fallbacks":["b",{"model":"c","messages":["x"]}]}"#, &["a", "b", "c"]),
            (r#"{"model":"a","context_window_fallbacks":[{"a":["b"]}]}"#, &["a", "b"]),
            (r#"{"session":{"audio":{"input":{"transcription":{"model":"a"}}}}}"#, &["a"]),
            (
                r#"{"requests":[{"custom_id":"1","params":{"model":"a"}},{"params":{"model":"b"}}]}"#,
                &["a", "b"],
            ),
            (r#"{"model":"a","tools":[{"type":"image_generation","model":"b"},null]}"#, &["a", "b"]),
            (
                r#"{"data_source":{"type":"completions","model":"a"},"testing_criteria":[{"model":"b"}]}"#,
                &["a", "b"],
            ),
            (r#"{"input":[{"model":"content"}],"tools":[{"parameters":{"model":{}}}]}"#, &[]),
            (r#"{"input":"x"}"#, &[]),
            ("", &[]),
        ] {
            assert_eq!(names(json, body).unwrap(), expected, "{body}");
        }
        assert_eq!(names("text/plain", r#"{"model":"a"}"#).unwrap(), ["a"]);
    }

    #[test]
    fn a_form_names_one_model() {
        let one = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\na\r\n--x--\r\n";
        let two = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\na\r\n--x\r\ncontent-disposition: \
                   form-data; name=\"model\"\r\n\r\nb\r\n--x--\r\n";
        assert_eq!(names("multipart/form-data; boundary=x", one).unwrap(), ["a"]);
        assert_eq!(names("Multipart/Form-Data; boundary=x", two), None);
        for other in [two.replacen("name=\"", "NAME=\"", 1), two.replacen("name=\"", "name = \"", 1)] {
            assert_eq!(names("multipart/form-data; boundary=x", other.leak()), None);
        }
        assert_eq!(names("application/x-www-form-urlencoded", "model=a&x=1"), None);
        for first in ["name=x; name*=utf-8''model", "name=\"mod\\el\"", "name*0=mo; name*1=del"] {
            let other = two.replacen("name=\"model\"", first, 1);
            assert_eq!(names("multipart/form-data; boundary=x", other.leak()), None, "{first}");
            let other = two.replacen("name=\"model\"", first, 1);
            let other = other.replacen("name=\"model\"", "name=\"x\"; name=\"model\"", 1);
            assert_eq!(
                names("multipart/form-data; boundary=x", other.leak()),
                None,
                "{first}, and a second name"
            );
        }
    }

    #[test]
    fn a_body_that_can_not_be_read_is_refused() {
        let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(257)).leak();
        for body in [
            "{",
            "[]",
            r#"{"model":"a"} {"model":"b"}"#,
            "\u{1f}\u{8b}",
            r#"{"model":"a\n"}"#,
            r#"{"model":"a\u0000b"}"#,
            r#"{"model":5}"#,
            r#"{"models":["a",{"model":"b"}]}"#,
            long,
        ] {
            assert_eq!(names("application/json", body), None, "{body}");
        }
        assert_eq!(names("application/json", r#"{"model":null}"#).unwrap(), [""; 0]);
    }
}
