//! The session of a request: what its client calls the conversation.
//!
//! Providers cache prompts for each account, so the turns of a conversation are cheaper and faster at one key. Clients
//! name a conversation in a header or in a member of the body.

use bytes::Bytes;
use http::HeaderMap;
use tower_key_rotation::Session;

/// Headers in which clients name a session: Codex, Claude Code, opencode and others.
const HEADERS: [&str; 7] = [
    "session-id",
    "session_id",
    "x-session-id",
    "x-claude-code-session-id",
    "x-session-affinity",
    "conversation-id",
    "conversation_id",
];

/// Members of the body whose text names a session. `user_id` counts within `metadata` only.
const MEMBERS: [&str; 3] = ["prompt_cache_key", "conversation", "user_id"];

/// Maximum distance of `user_id` from the beginning of `metadata`, in bytes.
const METADATA: usize = 256;

/// Maximum length of a name, in bytes.
const LONGEST: usize = 512;

/// Returns the session of a request. `body` is its whole body, if that is known.
pub(crate) fn of(headers: &HeaderMap, body: Option<&Bytes>) -> Option<Session> {
    let named = HEADERS.iter().find_map(|name| headers.get(*name)).map(http::HeaderValue::as_bytes);
    let named = named.filter(|name| !name.is_empty());
    named.or_else(|| MEMBERS.iter().find_map(|member| in_body(body?, member))).map(Session::new)
}

/// Returns the text of a member of a JSON document.
fn in_body<'a>(body: &'a [u8], member: &str) -> Option<&'a [u8]> {
    let scope = if member == "user_id" { metadata(body)? } else { body };
    let name = format!("\"{member}\"");
    memchr::memmem::find_iter(scope, name.as_bytes()).find_map(|at| text(&scope[at + name.len()..]))
}

/// Returns the beginning of the member `metadata`.
fn metadata(body: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::rfind(body, b"\"metadata\"")?;
    Some(&body[start..body.len().min(start + METADATA + LONGEST)])
}

/// Returns the text of a value, which begins with a colon.
fn text(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let value = &value[..value.len().min(LONGEST)];
    // Claude Code writes JSON into the text, whose quotes are escaped.
    let is_end = |at: &usize| at.checked_sub(1).is_none_or(|before| value[before] != b'\\');
    let end = memchr::memchr_iter(b'"', value).find(is_end)?;
    Some(&value[..end]).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_names_its_session() {
        let named = |header: &'static str| {
            of(&[(header.parse().unwrap(), "a".parse().unwrap())].into_iter().collect(), None)
        };
        for header in HEADERS {
            assert_eq!(named(header), Some(Session::new("a")), "{header}");
        }
        assert_eq!(named("x-other"), None);
        for (body, session) in [
            (r#"{"prompt_cache_key" : "a"}"#, Some("a")),
            (r#"{"messages":[],"metadata":{"user_id":"u_1"}}"#, Some("u_1")),
            (r#"{"metadata":{"user_id":"{\"session_id\":\"s1\"}"}}"#, Some(r#"{\"session_id\":\"s1\"}"#)),
            (r#"{"messages":[{"content":{"user_id":"u_2"}}]}"#, None),
            (r#"{"messages":[{"content":"\"prompt_cache_key\":\"x\""}]}"#, None),
            (r#"{"prompt_cache_key":null}"#, None),
            ("", None),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            assert_eq!(of(&HeaderMap::new(), Some(&body)), session.map(Session::new), "{body:?}");
        }
    }
}
