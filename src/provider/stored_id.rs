//! Ids of objects that a provider keeps for an account: files, batches, responses, conversations.
//!
//! Another account does not have the object, and another company knows no such id. Ids have the same form for all
//! accounts, so a request that names one can be recognized by the id's beginning.

use bytes::Bytes;

/// Beginnings of ids, each with its provider's page.
///
/// OpenAI: <https://platform.openai.com/docs/api-reference>; Anthropic: <https://platform.claude.com/docs/en/api>.
const STARTS: [&str; 24] = [
    "resp_",
    "rs_",
    "conv_",
    "file-",
    "file_",
    "batch_",
    "msgbatch_",
    "vs_",
    "vsfs_",
    "vsfb_",
    "upload_",
    "asst_",
    "thread_",
    "run_",
    "cntr_",
    "container_",
    "cfile_",
    "video_",
    "ftjob-",
    "ftckpt_",
    "eval_",
    "evalrun_",
    "chatcmpl-",
    "skill_",
];

/// Beginnings of the names of Gemini's objects, which may stand at the end of a URL
/// (<https://ai.google.dev/api/caching>, <https://ai.google.dev/api/files>).
const COLLECTIONS: [&str; 4] = ["files/", "cachedContents/", "fileSearchStores/", "batches/"];

/// Length of the shortest id, without its beginning (6).
const SHORTEST: usize = 6;

/// Length of the longest id (256).
const LONGEST: usize = 256;

/// Iterates over the ids of stored objects that a path and its query name, with the `upload_id` of a Google upload.
pub fn stored_ids_in_path(path: &str) -> impl Iterator<Item = &str> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let values = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
    let collection =
        COLLECTIONS.into_iter().find_map(|start| Some(&path[path.find(&format!("/{start}"))? + 1..]));
    let named =
        collection.map(|rest| nth_slash(rest, 1)).filter(|name| is_stored_id(name) && !names_object(name));
    let upload = query.split('&').find_map(|pair| pair.strip_prefix("upload_id="));
    path.split('/').chain(values).filter(|part| has_start(part)).chain(named).chain(upload)
}

/// Iterates over the ids of stored objects that a JSON document names, as whole strings in any place.
pub fn stored_ids_in_json(document: &[u8]) -> impl Iterator<Item = &str> {
    let quotes = memchr::memchr_iter(b'"', document);
    quotes.filter_map(|quote| {
        let rest = &document[quote + 1..];
        let rest = &rest[..rest.len().min(LONGEST + 1)];
        if !may_start(rest) {
            return None;
        }
        let text = &rest[..memchr::memchr(b'"', rest)?];
        std::str::from_utf8(text).ok().map(without_host).filter(|text| is_stored_id(text))
    })
}

/// Returns whether a body, given in pieces, names an object that a provider keeps.
pub(crate) fn names_stored(frames: &[Bytes]) -> bool {
    match frames {
        [whole] => stored_ids_in_json(whole).next().is_some(),
        pieces => stored_ids_in_json(&pieces.concat()).next().is_some(),
    }
}

/// Returns whether a path names an object that a provider keeps.
pub(super) fn names_object(path: &str) -> bool {
    memchr::memchr2(b'_', b'-', path.as_bytes()).is_some() && path.split('/').any(has_start)
}

/// Returns whether a text is the id of a stored object, by its form.
fn is_stored_id(text: &str) -> bool {
    let rest = COLLECTIONS.iter().find_map(|start| text.strip_prefix(start));
    has_start(text) || rest.is_some_and(|rest| is_id(rest, 1))
}

fn has_start(text: &str) -> bool {
    // All beginnings end with one of two characters, which most texts do not have.
    let Some(at) = text.bytes().position(|byte| matches!(byte, b'_' | b'-')) else { return false };
    STARTS.contains(&&text[..=at]) && is_id(&text[at + 1..], SHORTEST)
}

fn is_id(rest: &str, shortest: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (shortest..=LONGEST).contains(&rest.len()) && rest.bytes().all(allowed)
}

/// Returns whether a string may be an id, by its first byte.
fn may_start(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'a'..=b'h' | b'm' | b'r'..=b'v'))
}

/// Returns the name at the end of a Google URL: `https://host/v1beta/files/abc` names `files/abc`.
fn without_host(text: &str) -> &str {
    if !text.starts_with("https://") {
        return text;
    }
    let mut path = text.rsplitn(3, '/');
    let (_, _, host) = (path.next(), path.next(), path.next());
    host.map_or(text, |host| &text[host.len() + 1..])
}

/// Returns a path up to its slash number `nth`, counted from 0.
fn nth_slash(path: &str, nth: usize) -> &str {
    path.match_indices('/').nth(nth).map_or(path, |(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_paths() {
        for (path, ids) in [
            ("/v1/files/file-abc123/content", vec!["file-abc123"]),
            ("/v1/responses/resp_0123456789", vec!["resp_0123456789"]),
            ("/v1/fine_tuning/jobs?after=ftjob-abc123", vec!["ftjob-abc123"]),
            ("/v1/messages/batches/msgbatch_01ABCDEF/results", vec!["msgbatch_01ABCDEF"]),
            ("/v1beta/files/abc-123", vec!["files/abc-123"]),
            ("/v1beta/cachedContents/xyz789?key=1", vec!["cachedContents/xyz789"]),
            ("/v1/chat/completions", vec![]),
            ("/v1/files", vec![]),
            ("/v1/models/gpt-4o", vec![]),
        ] {
            assert_eq!(stored_ids_in_path(path).collect::<Vec<_>>(), ids, "{path}");
        }
    }

    #[test]
    fn ids_are_found_in_documents() {
        for (document, ids) in [
            (r#"{"previous_response_id":"resp_0123456789"}"#, vec!["resp_0123456789"]),
            (r#"{"input":[{"type":"file","file_id" : "file-abc123"}]}"#, vec!["file-abc123"]),
            (r#"{"cachedContent":"cachedContents/xyz789"}"#, vec!["cachedContents/xyz789"]),
            (r#"{"fileUri":"https://g.example/v1beta/files/abc"}"#, vec!["files/abc"]),
            (r#"{"text":"he said \"file-abc123\" and left"}"#, vec![]),
            (r#"{"text":"file-abc123 is a file"}"#, vec![]),
            (r#"{"role":"user","content":"run_ and file-","id":"file_x"}"#, vec![]),
        ] {
            assert_eq!(stored_ids_in_json(document.as_bytes()).collect::<Vec<_>>(), ids, "{document}");
        }
    }
}
