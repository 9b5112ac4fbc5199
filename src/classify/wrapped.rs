//! Error documents inside a message: a relay or a client passes on the error of another provider as JSON, or
//! as Python prints it.

use serde_json::Value;

/// Splits a message into the text before the first document in it, and the document. `None` if it has none.
///
/// ```text
/// Error code: 429 - {'error': {'code': 'insufficient_quota', 'message': None}}
/// ```
pub(super) fn split(message: &str) -> Option<(&str, Value)> {
    let start = message.match_indices('{').map(|(at, _)| at).find(|at| begins(&message[at + 1..]))?;
    let (before, document) = message.split_at(start);
    let json = first_value(document).or_else(|| first_value(&json_of(document)))?;
    let is_error = ["error", "message", "code", "type", "detail"].iter().any(|name| json.get(name).is_some());
    is_error.then_some((before, json))
}

fn begins(rest: &str) -> bool {
    rest.trim_start().starts_with(['"', '\''])
}

fn first_value(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text).into_iter().next()?.ok()
}

/// Translates a document as Python prints it to JSON.
fn json_of(python: &str) -> String {
    let mut json = String::with_capacity(python.len());
    let mut rest = python;
    while let Some(at) = rest.find(['"', '\'']) {
        let (outside, quoted) = rest.split_at(at);
        json.push_str(&translated(outside));
        let (text, behind) = unquote(quoted);
        json.push_str(&Value::from(text).to_string());
        rest = behind;
    }
    json.push_str(&translated(rest));
    json
}

/// Translates the words outside of strings.
fn translated(python: &str) -> String {
    python.replace("None", "null").replace("True", "true").replace("False", "false")
}

/// Returns the text of a quoted string, and the rest behind it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    let quote = letters.next().map(|(_, quote)| quote);
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if Some(letter) == quote => return (text, &quoted[at + 1..]),
            '\\' => {
                text.extend(letters.next().map(|(_, escaped)| if escaped == 'n' { '\n' } else { escaped }));
            }
            _ => text.push(letter),
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_in_messages() {
        for (message, before, document) in [
            (r#"upstream: {"error":{"code":1}} (x)"#, "upstream: ", json!({"error": {"code": 1}})),
            (
                r#"Error code: 429 - {'error': {'message': "it's", 'code': None}}"#,
                "Error code: 429 - ",
                json!({"error": {"message": "it's", "code": null}}),
            ),
        ] {
            assert_eq!(split(message), Some((before, document)));
        }
        for message in ["no document", "{", "{'a", r#"{"a":1}"#, "set {x} to {y}", "{'error': {{{{"] {
            assert_eq!(split(message), None, "{message}");
        }
    }
}
