//! The session of a request: what its client calls the conversation.
//!
//! Providers cache prompts for each account, so the turns of a conversation are cheaper and faster at one key. Clients
//! name a conversation in a header or in a member of the body.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use memchr::memmem::{Finder, FinderRev};
use tower_key_rotation::Session;

/// Members of the body whose text names a session. `user_id` counts within `metadata` only. Finders are built once,
/// since building one costs more than searching a short body.
static MEMBERS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [r#""prompt_cache_key""#, r#""conversation""#].map(Finder::new));
static USER_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""user_id""#));
static METADATA: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(r#""metadata""#));

/// Maximum distance of `user_id` from the beginning of `metadata`, in bytes.
const DISTANCE: usize = 256;

/// Maximum length of a name, in bytes.
const LONGEST: usize = 512;

/// Returns the session of a request. `body` is its whole body, if that is known.
pub(crate) fn of(headers: &HeaderMap, body: Option<&Bytes>) -> Option<Session> {
    // The names are compared, because seven lookups cost more.
    let named = headers.iter().filter_map(|(name, value)| Some((rank(name)?, value.as_bytes())));
    let named = named.min_by_key(|(rank, _)| *rank).map(|(_, name)| name).filter(|name| !name.is_empty());
    named.or_else(|| in_body(body?)).map(Session::new)
}

/// Returns the rank of a header in which clients name a session: Codex, Claude Code, opencode and others. The lowest one
/// counts. `None` for other headers.
fn rank(name: &HeaderName) -> Option<u8> {
    Some(match name.as_str() {
        "session-id" => 0,
        "session_id" => 1,
        "x-session-id" => 2,
        "x-claude-code-session-id" => 3,
        "x-session-affinity" => 4,
        "conversation-id" => 5,
        "conversation_id" => 6,
        _ => return None,
    })
}

/// Returns the text of a member of a JSON document that names a session.
fn in_body(body: &[u8]) -> Option<&[u8]> {
    let named = MEMBERS.iter().find_map(|member| text_of(body, member));
    // A search from the end is slow, and most bodies have no such member.
    named.or_else(|| text_of(USER_ID.find(body).and_then(|_| metadata(body))?, &USER_ID))
}

fn text_of<'a>(scope: &'a [u8], member: &Finder<'_>) -> Option<&'a [u8]> {
    member.find_iter(scope).find_map(|at| text(&scope[at + member.needle().len()..]))
}

/// Returns the beginning of the member `metadata`.
fn metadata(body: &[u8]) -> Option<&[u8]> {
    let start = METADATA.rfind(body)?;
    Some(&body[start..body.len().min(start + DISTANCE + LONGEST)])
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
        for header in [
            "session-id",
            "session_id",
            "x-session-id",
            "x-claude-code-session-id",
            "x-session-affinity",
            "conversation-id",
            "conversation_id",
        ] {
            assert_eq!(named(header), Some(Session::new("a")), "{header}");
        }
        assert_eq!(named("x-other"), None);
        let both =
            ["conversation-id", "session-id"].map(|name| (name.parse().unwrap(), name.parse().unwrap()));
        let both = of(&HeaderMap::from_iter(both), None);
        assert_eq!(both, Some(Session::new("session-id")), "the first one of the list");
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
