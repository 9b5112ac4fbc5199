//! The top-level members of a JSON document: removing some, adding others, and keeping the rest byte for byte.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The top-level members of a document, in its order.
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

struct MembersVisitor;

// === impl Members ===

impl<'a> Members<'a> {
    /// Reads a document. `None` if it is no object.
    pub(super) fn read(document: &'a [u8]) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_slice(document);
        let members = reader.deserialize_map(MembersVisitor).ok()?;
        reader.end().ok()?;
        Some(Self(members))
    }

    /// Returns the value of a member as it is written. Of several the last counts.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.get())
    }

    /// Returns the value of a member that is a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Removes all members with this name.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| own != name);
    }

    /// Writes the document with more members, whose values are JSON. A member that it already has is not added.
    pub(super) fn write(&self, more: &[(&str, String)]) -> Bytes {
        let added = more.iter().filter(|(name, _)| self.get(name).is_none());
        let added = added.map(|(name, value)| (*name, value.as_str()));
        let all = self.0.iter().map(|(name, value)| (name.as_str(), value.get())).chain(added);
        let len: usize = all.clone().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut out = BytesMut::with_capacity(len + 2);
        for (index, (name, value)) in all.enumerate() {
            out.put_u8(if index == 0 { b'{' } else { b',' });
            out.put_slice(serde_json::Value::from(name).to_string().as_bytes());
            out.put_u8(b':');
            out.put_slice(value.as_bytes());
        }
        out.put_slice(if out.is_empty() { b"{}" } else { b"}" });
        out.freeze()
    }
}

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((name, map.next_value()?));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_stays_byte_for_byte() {
        let document = br#" {"model":"a", "n" : 1.0e2,"text":"\u00e9 {\"model\":1}","model" : "b","x":{ }} "#;
        let mut members = Members::read(document).unwrap();
        assert_eq!(members.text("model").as_deref(), Some("b"));
        members.remove("model");
        let more = [("n", "2".to_owned()), ("v\"", "\"1\"".to_owned())];
        let expected = br#"{"n":1.0e2,"text":"\u00e9 {\"model\":1}","x":{ },"v\"":"1"}"#;
        assert_eq!(members.write(&more), &expected[..]);
        assert_eq!(Members::read(b"{}").unwrap().write(&[]), "{}");
        for broken in [&b"[]"[..], b"", b"{", b"{\"a\":1}x", b"\"model\""] {
            assert!(Members::read(broken).is_none());
        }
    }
}
