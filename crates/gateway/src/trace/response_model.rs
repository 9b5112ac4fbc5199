//! The model that a response names.

use bytes::Bytes;
use memchr::memmem;

/// Maximum number of bytes that are searched (64 KiB).
const SEARCHED: usize = 64 * 1024;

/// Maximum length of a name in bytes.
const LONGEST: usize = 200;

/// Members that name the model, of OpenAI and Anthropic, and of Gemini.
const MEMBERS: [&str; 2] = ["\"model\"", "\"modelVersion\""];

/// The model of a response, as far as its body has been seen.
#[derive(Default)]
pub(super) struct ResponseModel {
    found: Option<String>,
    searched: usize,
}

// === impl ResponseModel ===

impl ResponseModel {
    pub(super) fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// Searches a part of the body. A quotation mark within a JSON string is escaped, so content can't look like a member.
    pub(super) fn see(&mut self, data: &Bytes) {
        if self.found.is_some() || self.searched >= SEARCHED {
            return;
        }
        self.searched += data.len();
        self.found = MEMBERS.iter().find_map(|member| value(data, member));
    }
}

/// Returns the text of the first such member.
fn value(data: &[u8], member: &str) -> Option<String> {
    let rest = &data[memmem::find(data, member.as_bytes())? + member.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let name = &rest[..memchr::memchr(b'"', rest).filter(|end| *end <= LONGEST)?];
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty() && !name.contains('\\')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(parts: &[&'static str]) -> Option<String> {
        let mut model = ResponseModel::default();
        parts.iter().for_each(|part| model.see(&Bytes::from_static(part.as_bytes())));
        model.found
    }

    #[test]
    fn every_dialect_names_its_model() {
        assert_eq!(model(&["{\n  \"id\": \"1\",\n  \"model\": \"gpt-4o-1\"}"]).as_deref(), Some("gpt-4o-1"));
        let event = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-1\"}}\n\n";
        assert_eq!(model(&["event: message_start\n", event]).as_deref(), Some("claude-1"));
        assert_eq!(
            model(&["{\"candidates\":[],\"modelVersion\":\"gemini-1\"}"]).as_deref(),
            Some("gemini-1")
        );
        assert_eq!(model(&["{\"text\":\"\\\"model\\\":\\\"x\\\"\"}"]), None);
    }
}
