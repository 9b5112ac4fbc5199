//! The explanation of one response, as text.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use tower_key_rotation::Provider;
use tower_key_rotation::body::sse::Decoder;
use tower_key_rotation::classify::{ErrorBody, Fault, Outcome, Reading, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::provider::{DecidedBy, Explanation};

use crate::explain::record::Record;

/// Maximum length of a code that is shown, in bytes. A longer one is no code.
const LONGEST_CODE: usize = 64;

/// Returns the explanation of a response: a line about it, and indented lines with the verdict.
pub(super) fn report(provider: &Provider, record: &Record, path: Option<&PathAndQuery>) -> String {
    let date = || httpdate::parse_http_date(record.head.headers.get("date")?.to_str().ok()?).ok();
    let now = record.now.or_else(|| date().map(Timestamp::from)).unwrap_or_else(Timestamp::now);
    let path = record.path.as_ref().or(path);
    let (explanation, error) = explained(provider, record, path, now);
    let Explanation { verdict, by, .. } = &explanation;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name}: {value}");
    };
    line("verdict", verdict.as_str());
    line("scope", verdict.scope().as_str());
    let wait = verdict.fault().and_then(Fault::retry_after);
    line("wait", &wait.map_or_else(|| "none".to_owned(), |wait| format!("{} s", wait.as_secs_f64())));
    line("decided by", &decided_by(provider, by));
    let evidence: Vec<_> = Reading::of(&error).pieces().map(|piece| piece.to_string()).collect();
    if !evidence.is_empty() {
        line("evidence", &evidence.join(", "));
    }
    let short = |code: &&str| code.len() <= LONGEST_CODE;
    let codes: Vec<_> = error.names().filter(short).map(|code| code.escape_debug().to_string()).collect();
    if !codes.is_empty() {
        line("codes", &codes.join(", "));
    }
    let name = if record.id.is_empty() { String::new() } else { format!("{}: ", record.id.escape_debug()) };
    format!("{name}{}, status {}\n{text}", provider.name(), record.head.status.as_u16())
}

/// Explains a response, and returns its error as it was read.
fn explained(
    provider: &Provider,
    record: &Record,
    path: Option<&PathAndQuery>,
    now: Timestamp,
) -> (Explanation, ErrorBody) {
    let classifier = provider.classifier();
    let explain = |outcome: Outcome| classifier.explain(&outcome.with_path(path.cloned()));
    let is_success = record.head.status.is_success();
    if is_success && is_event_stream(record) {
        let mut decoder = Decoder::new();
        decoder.push(record.body.clone());
        let complete = std::iter::from_fn(|| decoder.next_event().ok().flatten());
        for event in complete {
            let error = ErrorBody::parse(event.data());
            let explanation = explain(Outcome::streaming(&record.head, Some(event), now));
            if explanation.verdict != Verdict::Inspect {
                return (explanation, error);
            }
        }
        return (explain(Outcome::streaming(&record.head, None, now)), ErrorBody::parse(b""));
    }
    let is_read = !is_success || provider.errors_in_ok_bodies();
    let body = if is_read { record.body.clone() } else { Bytes::new() };
    let explanation = explain(Outcome::response(&record.head, body.clone(), now));
    let is_served = explanation.verdict == Verdict::Success;
    (explanation, ErrorBody::parse(if is_served { b"" } else { &body }))
}

/// Returns the step that decided. A rule of the operator is named.
fn decided_by(provider: &Provider, by: &DecidedBy) -> String {
    let rule =
        if let DecidedBy::OwnRule(index) = by { provider.rules().get(usize::from(*index)) } else { None };
    match rule.and_then(|rule| rule.name()) {
        Some(name) => format!("{by} ({})", name.escape_debug()),
        None => by.to_string(),
    }
}

fn is_event_stream(record: &Record) -> bool {
    let kind = record.head.headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"))
}
