//! Explains recorded responses: prints verdict, scope, wait, limits and usage as one JSON line for each, with
//! the step of the classification that decided and all the evidence.
//!
//! ```text
//! cargo run --example explain -- responses.jsonl
//! ```
//!
//! Reads JSON lines from a file or from standard input. Every member is optional: `id`, `provider` (the name
//! of a preset; for any other name the rules common to all providers apply), `status`, `headers`, `body`
//! (text or JSON). The clock is `expected.now`, else `now`, else the `date` header. A line that is not a JSON
//! object is reported on standard error; the other lines are still explained, and the exit code is 1.
//!
//! All knowledge comes from the crate; this file only feeds it. Two notes on the output: the verdict of a
//! `Blocked` fault (an address or country that is refused) is printed as `forbidden` with the scope
//! `provider`, as in tables that have no word for it; and `action` is the first action of the default policy
//! for a verdict, on the first attempt.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};
use tower_key_rotation::Provider;
use tower_key_rotation::body::Usage;
use tower_key_rotation::body::sse::{Decoder, Event};
use tower_key_rotation::classify::{ErrorBody, Fault, Outcome, Reading, Reason, Rejection, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::provider::{DecidedBy, Explanation, Limit};

/// One recorded response.
struct Record {
    id: Value,
    provider: Provider,
    head: Arc<Parts>,
    body: Bytes,
    now: Timestamp,
}

/// The crate's explanation of a response.
struct Explained {
    verdict: Verdict,
    limits: Vec<Limit>,
    usage: Option<Usage>,
    /// All evidence of an error body, such as `name: money`.
    evidence: Vec<String>,
    /// The step that decided; `None` for a stream without an event.
    by: Option<DecidedBy>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader of the output, such as `head`, has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("explain: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<bool> {
    let mut input: Box<dyn BufRead> = match std::env::args_os().nth(1) {
        Some(path) if path != "-" => Box::new(BufReader::new(File::open(path)?)),
        _ => Box::new(io::stdin().lock()),
    };
    let mut output = io::stdout().lock();
    let (mut line, mut number, mut all_good) = (Vec::new(), 0_usize, true);
    while {
        line.clear();
        input.read_until(b'\n', &mut line)? > 0
    } {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match Record::parse(&line) {
            Ok(record) => writeln!(output, "{}", record.explain().to_json(&record.id))?,
            Err(error) => {
                all_good = false;
                eprintln!("line {number}: {error}");
            }
        }
    }
    output.flush()?;
    Ok(all_good)
}

// === impl Record ===

impl Record {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let record: Map<String, Value> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let headers = record.get("headers").and_then(Value::as_object).map(headers).unwrap_or_default();
        let now = clock(&record, &headers);
        let name = text("provider").to_owned();
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = status(record.get("status"))?;
        head.headers = headers;
        Ok(Self {
            id: record.get("id").cloned().unwrap_or_default(),
            provider: Provider::preset(&name).unwrap_or_else(|| Provider::compatible(name)),
            head: Arc::new(head),
            body: record.get("body").map(body).unwrap_or_default(),
            now,
        })
    }

    fn explain(&self) -> Explained {
        if self.head.status.is_success() && self.is_event_stream() {
            return self.explain_stream();
        }
        let is_read = !self.head.status.is_success() || self.provider.errors_in_ok_bodies();
        let body = if is_read { self.body.clone() } else { Bytes::new() };
        let Explanation { verdict, by, .. } =
            self.ask(Outcome::response(Arc::clone(&self.head), body, self.now));
        let served = verdict == Verdict::Success;
        Explained {
            limits: self.limits(if served { &[] } else { &self.body }),
            usage: self.provider.usage(&self.head.headers, &self.body).filter(|_| served),
            evidence: if served { Vec::new() } else { evidence(&self.body) },
            verdict,
            by: Some(by),
        }
    }

    /// Reads a stream to its end. Errors after the first content are explained too.
    fn explain_stream(&self) -> Explained {
        let mut seen = Explained {
            verdict: Verdict::Inspect,
            limits: self.limits(&[]),
            usage: None,
            evidence: Vec::new(),
            by: None,
        };
        let mut decoder = Decoder::new();
        decoder.push(self.body.clone());
        loop {
            let event = match decoder.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => match decoder.finish() {
                    Some(event) => event,
                    None => break,
                },
                Err(_) => continue,
            };
            self.see(&event, &mut seen);
        }
        if seen.verdict == Verdict::Inspect {
            let end = self.ask(Outcome::streaming(Arc::clone(&self.head), None, self.now));
            (seen.verdict, seen.by) = (end.verdict, Some(end.by));
        }
        seen
    }

    fn see(&self, event: &Event, seen: &mut Explained) {
        if let Some(usage) = Usage::from_event(event) {
            seen.usage.get_or_insert_default().merge(usage);
        }
        let Explanation { verdict, by, .. } =
            self.ask(Outcome::streaming(Arc::clone(&self.head), Some(event.clone()), self.now));
        match verdict {
            Verdict::Fault(_) | Verdict::Rejected(_) => {
                seen.limits = self.limits(event.data());
                seen.evidence = evidence(event.data());
                (seen.verdict, seen.by) = (verdict, Some(by));
            }
            _ if seen.verdict == Verdict::Inspect => (seen.verdict, seen.by) = (verdict, Some(by)),
            _ => {}
        }
    }

    fn ask(&self, outcome: Outcome) -> Explanation {
        self.provider.classifier().explain(&outcome)
    }

    fn limits(&self, body: &[u8]) -> Vec<Limit> {
        self.provider.limits(&self.head.headers, body, self.now)
    }

    /// Returns whether the body is an event stream: by its content type, or by its first bytes if a recording
    /// lacks the type.
    fn is_event_stream(&self) -> bool {
        match self.head.headers.get(http::header::CONTENT_TYPE) {
            Some(kind) => kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"),
            None => {
                let start = self.body.trim_ascii_start();
                [&b"data:"[..], b"event:", b"id:", b":"].iter().any(|field| start.starts_with(field))
            }
        }
    }
}

fn status(value: Option<&Value>) -> Result<StatusCode, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(StatusCode::OK) };
    let code = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    code.and_then(|code| StatusCode::from_u16(code.try_into().ok()?).ok())
        .ok_or_else(|| format!("{value} is no status"))
}

fn headers(named: &Map<String, Value>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(text.as_bytes())) {
                let _ = headers.try_append(name, value);
            }
        }
    }
    headers
}

fn body(value: &Value) -> Bytes {
    match value {
        Value::Null => Bytes::new(),
        Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
        json => Bytes::from(json.to_string()),
    }
}

fn clock(record: &Map<String, Value>, headers: &HeaderMap) -> Timestamp {
    let expected = record.get("expected").and_then(|expected| expected.get("now"));
    let said = expected.or_else(|| record.get("now")).and_then(Value::as_str).and_then(|now| {
        let now: jiff::Timestamp = now.parse().ok()?;
        Some(Timestamp::from(SystemTime::from(now)))
    });
    let date = || httpdate::parse_http_date(headers.get("date")?.to_str().ok()?).ok().map(Timestamp::from);
    said.or_else(date).unwrap_or_else(Timestamp::now)
}

// === impl Explained ===

impl Explained {
    fn to_json(&self, id: &Value) -> Value {
        let Self { verdict, limits, usage, evidence, by } = self;
        let limits: Vec<_> = limits.iter().map(limit_to_json).collect();
        json!({
            "id": id,
            "verdict": word(verdict),
            "scope": verdict.scope().as_str(),
            "wait_s": verdict.fault().and_then(Fault::retry_after).map(|wait| wait.as_secs_f64()),
            "action": action(verdict),
            "why": verdict.fault().and_then(Fault::why).map(|why| why.to_string()),
            "decided_by": by.map(|by| by.to_string()),
            "evidence": evidence,
            "limits": limits,
            "usage": usage.map(|usage| json!({
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
            })),
        })
    }
}

fn evidence(body: &[u8]) -> Vec<String> {
    Reading::of(&ErrorBody::parse(body)).pieces().map(|piece| piece.to_string()).collect()
}

fn limit_to_json(limit: &Limit) -> Value {
    json!({
        "dimension": limit.dimension.as_str(),
        "limit": limit.limit,
        "remaining": limit.remaining,
        "window": limit.window.map(|window| window.to_string()),
        "reset_s": limit.reset.map(|reset| reset.as_secs_f64()),
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict.fault() {
        Some(fault) if fault.reason() == Reason::Blocked => Reason::Forbidden.as_str(),
        _ => verdict.as_str(),
    }
}

/// Returns the first action of the default policy: another key for a fault of a key, the same provider again
/// for a fault of the provider, and another provider if neither can help or if the request may have run.
fn action(verdict: &Verdict) -> &'static str {
    let Some(fault) = verdict.fault() else {
        return if *verdict == Verdict::Rejected(Rejection::Unclear) { "rotate" } else { "deliver" };
    };
    if fault.reason() == Reason::Blocked || fault.may_have_run() {
        "fail_over"
    } else if fault.scope().is_provider() {
        "retry"
    } else {
        "rotate"
    }
}
