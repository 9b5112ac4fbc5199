//! Ids of objects that a provider keeps for an account: files, batches, responses, conversations.
//!
//! Another account does not have the object, and another company knows no such id. Ids have the same form for all
//! accounts, so a request that names one can be recognized by the id's beginning.
//!
//! Encrypted content is such an object without an id: OpenAI's `encrypted_content` of reasoning can be read by the
//! organization that made it only. Its beginning stands for it.

use bytes::Bytes;

/// Beginnings of ids, each with its provider's page.
///
/// OpenAI: <https://platform.openai.com/docs/api-reference>; Anthropic: <https://platform.claude.com/docs/en/api>.
const STARTS: [&str; 33] = [
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
    "pmpt_",
    "rtc_",
    "cksess_",
    "cthr_",
    "agent_",
    "sesn_",
    "env_",
    "vlt_",
    "memstore_",
];

/// Beginnings of ids of the items of OpenAI's responses, which a later request may refer to
/// (<https://platform.openai.com/docs/api-reference/responses/create>). A request that has an item as a whole has its id
/// as well, so they bind no request to a company.
const ITEMS: [&str; 2] = ["msg_", "fc_"];

/// Beginnings of the names of Gemini's objects, which may stand at the end of a URL
/// (<https://ai.google.dev/api/caching>, <https://ai.google.dev/api/files>).
const COLLECTIONS: [&str; 6] =
    ["files/", "cachedContents/", "fileSearchStores/", "batches/", "tunedModels/", "operations/"];

/// Length of the shortest id, without its beginning (6).
const SHORTEST: usize = 6;

/// Length of the shortest id without a digit, without its beginning (16). Of 22 random letters and digits, 2 % have none.
const SHORTEST_LETTERS: usize = 16;

/// Length of the shortest part of an unknown path or an error that may be an id (8).
const SHORTEST_UNKNOWN: usize = 8;

/// Length of the longest id (256).
const LONGEST: usize = 256;

/// Name of the member with encrypted content
/// (<https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items>).
const ENCRYPTED: &str = "encrypted_content";

/// Length of the beginning that stands for encrypted content, in bytes (128). The first 25 bytes of a Fernet token are its
/// version, its time and a random number; they are 34 characters in base64.
const SAMPLE: usize = 128;

/// Length of the shortest encrypted content, in bytes (32).
const SHORTEST_SAMPLE: usize = 32;

/// Iterates over the ids of stored objects that a path and its query name, with the `upload_id` of a Google upload.
pub fn stored_ids_in_path(path: &str) -> impl Iterator<Item = &str> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let values = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
    let collection =
        COLLECTIONS.into_iter().find_map(|start| Some(&path[path.find(&format!("/{start}"))? + 1..]));
    // A method may stand behind the name: `batches/abc:cancel`.
    let named = collection.map(|rest| nth_slash(rest, 1)).map(|name| name.split(':').next().unwrap_or(name));
    let named = named.filter(|name| is_stored_id(name) && !names_object(name));
    let upload = query.split('&').find_map(|pair| pair.strip_prefix("upload_id="));
    path.split('/').chain(values).filter(|part| has_start(part)).chain(named).chain(upload)
}

/// Iterates over the ids of stored objects that a JSON document names, as whole strings in any place. Encrypted content
/// counts by its beginning.
pub fn stored_ids_in_json(document: &[u8]) -> impl Iterator<Item = &str> {
    let quotes = memchr::memchr_iter(b'"', document);
    quotes.filter_map(|quote| {
        let rest = &document[quote + 1..];
        let rest = &rest[..rest.len().min(LONGEST + 1)];
        if !may_start(rest) {
            return None;
        }
        let text = &rest[..memchr::memchr(b'"', rest)?];
        if text == ENCRYPTED.as_bytes() {
            return encrypted(&document[quote + text.len() + 2..]);
        }
        std::str::from_utf8(text).ok().map(without_host).filter(|text| is_stored_id(text))
    })
}

/// Returns the beginning of the encrypted content behind the name of its member.
fn encrypted(value: &[u8]) -> Option<&str> {
    let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let sample = &value[..value.len().min(SAMPLE)];
    let end = memchr::memchr(b'"', sample);
    // An incomplete document may end within the text.
    let end = end.or_else(|| (sample.len() == SAMPLE).then_some(SAMPLE))?;
    std::str::from_utf8(&sample[..end]).ok().filter(|text| text.len() >= SHORTEST_SAMPLE)
}

/// Returns whether a body, given in pieces, names an object that a provider keeps.
pub(crate) fn names_stored(frames: &[Bytes]) -> bool {
    let binds = |id: &str| !is_item(id);
    match frames {
        [whole] => stored_ids_in_json(whole).any(binds),
        pieces => stored_ids_in_json(&pieces.concat()).any(binds),
    }
}

/// Returns whether a path may name an object of an account, of a kind that is not known: `/v1/things/b7c0a1d2e3f4`. Names
/// of models look like that, and are none.
pub(crate) fn may_name_object(path: &str) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut segments = path.split('/').skip_while(|segment| segment.is_empty()).skip(2);
    !path.contains("/models/") && segments.any(looks_like_id)
}

/// Iterates over the words of an error that may be ids: ``Item with id 'msg_0123' not found``.
pub(crate) fn ids_said(error: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = error.split(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
    words.filter(|word| std::str::from_utf8(word).is_ok_and(looks_like_id))
}

/// Returns whether a text may be an id, without knowing its kind.
fn looks_like_id(text: &str) -> bool {
    is_id(text, SHORTEST_UNKNOWN) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Returns whether a path names an object that a provider keeps.
pub(super) fn names_object(path: &str) -> bool {
    memchr::memchr2(b'_', b'-', path.as_bytes()).is_some() && path.split('/').any(has_start)
}

/// Returns whether a text is the id of a stored object, by its form.
fn is_stored_id(text: &str) -> bool {
    let rest = COLLECTIONS.iter().find_map(|start| text.strip_prefix(start));
    has_start(text) || is_item(text) || rest.is_some_and(|rest| is_id(rest, 1))
}

/// Returns whether a text is the id of an item of a response, by its form.
fn is_item(text: &str) -> bool {
    ITEMS.iter().any(|start| text.strip_prefix(start).is_some_and(is_random))
}

fn has_start(text: &str) -> bool {
    // All beginnings end with one of two characters, which most texts do not have.
    let Some(at) = text.bytes().position(|byte| matches!(byte, b'_' | b'-')) else { return false };
    STARTS.contains(&&text[..=at]) && is_random(&text[at + 1..])
}

/// Returns whether the rest of an id looks random. Names of tools begin like ids: `run_command`, `file_search`.
fn is_random(rest: &str) -> bool {
    let has = |is: fn(&u8) -> bool| rest.bytes().any(|byte| is(&byte));
    let is_mixed =
        || rest.len() >= SHORTEST_LETTERS && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    is_id(rest, SHORTEST) && !rest.contains('_') && (has(u8::is_ascii_digit) || is_mixed())
}

fn is_id(rest: &str, shortest: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (shortest..=LONGEST).contains(&rest.len()) && rest.bytes().all(allowed)
}

/// Returns whether a string may be an id, by its first byte.
fn may_start(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'a'..=b'h' | b'm' | b'o' | b'p' | b'r'..=b'v'))
}

/// Returns the name at the end of a Google URL or of the name of an operation: `https://host/v1beta/files/abc` names
/// `files/abc`, and `models/veo/operations/abc` names `operations/abc`.
fn without_host(text: &str) -> &str {
    if !text.starts_with("https://") && !text.contains("/operations/") {
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
            ("/v1beta/models/veo-3/operations/abc-12", vec!["operations/abc-12"]),
            ("/v1beta/tunedModels/my-model-7:generateContent", vec!["tunedModels/my-model-7"]),
            ("/v1beta/batches/abc12:cancel", vec!["batches/abc12"]),
            ("/v1/sessions/sesn_011CZkZAtmR3yMPDzynE/events", vec!["sesn_011CZkZAtmR3yMPDzynE"]),
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
            (r#"{"name":"models/veo-3/operations/abc"}"#, vec!["operations/abc"]),
            (r#"{"type":"item_reference","id":"msg_68a1b2c3d4"}"#, vec!["msg_68a1b2c3d4"]),
            (r#"{"id":"file-qWzXcVbNmAsDfGhJkLpOiU"}"#, vec!["file-qWzXcVbNmAsDfGhJkLpOiU"]),
            (
                r#"["run_command","file_search","run_shell_command","skill_lookup","agent_toolset_20260401"]"#,
                vec![],
            ),
        ] {
            assert_eq!(stored_ids_in_json(document.as_bytes()).collect::<Vec<_>>(), ids, "{document}");
        }
    }

    #[test]
    fn ids_of_unknown_kinds_are_recognized() {
        for (path, may_name) in [
            ("/v1/things/b7c0a1d2e3f4", true),
            ("/v1/batch/jobs/1bf6c7c3-5f0a-4b2e-9d1c-0123456789ab?x=1", true),
            ("/v1/things/settings", false),
            ("/v1/models/gpt-4o-2024-08-06", false),
            ("/v1beta/models/g-2.5:generateContent", false),
        ] {
            assert_eq!(may_name_object(path), may_name, "{path}");
        }
        let said = b"Item with id 'msg_68a1b2c3' not found, status 404";
        assert_eq!(ids_said(said).collect::<Vec<_>>(), [b"msg_68a1b2c3"]);
    }

    #[test]
    fn an_item_binds_to_no_company() {
        let names = |text: &'static str| names_stored(&[Bytes::from_static(text.as_bytes())]);
        assert!(names(r#"{"id":"rs_68a1b2c3d4"}"#) && !names(r#"{"id":"msg_68a1b2c3d4"}"#));
    }

    #[test]
    fn encrypted_content_counts_by_its_beginning() {
        let content = "gAAAAAB-0123_".repeat(20);
        for (content, sample) in [
            (&content[..], Some(&content[..SAMPLE])),
            (&content[..40], Some(&content[..40])),
            ("short", None),
        ] {
            let document = format!(r#"{{"type":"reasoning","encrypted_content" : "{content}","id":null}}"#);
            assert_eq!(stored_ids_in_json(document.as_bytes()).next(), sample);
        }
        let cut = format!(r#"{{"encrypted_content":"{}"#, &content[..100]);
        assert_eq!(stored_ids_in_json(cut.as_bytes()).next(), None, "the rest is still to come");
        let said = format!(r#"{{"text":"the \"encrypted_content\":\"{content}\""}}"#);
        assert_eq!(stored_ids_in_json(said.as_bytes()).next(), None);
    }
}
