//! The history as it happens, as server-sent events.
//!
//! | event | data |
//! |---|---|
//! | `history` | an entry of the history; the event's id is the entry's |
//! | `totals` | the totals of `/status`, at most once a second and only if they changed |
//! | `missed` | the number of entries that the reader was too slow for: read `/api/history` again |

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode, request};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::history::{Entry, Recorder, Totals};
use crate::response;
use crate::status::Status;
use crate::status::query::Query;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Maximum number of readers (64).
const MAX_READERS: usize = 64;

/// Interval of totals (1 s). A comment is sent after this many intervals without an event, so that a connection
/// without a reader is found.
const TICK: Duration = Duration::from_secs(1);
const SILENT_TICKS: u32 = 15;

/// The places for readers.
#[derive(Clone)]
pub(super) struct Readers(Arc<Semaphore>);

/// One reader of the live history.
struct Reader {
    recorder: Recorder,
    entries: broadcast::Receiver<Entry>,
    stopping: watch::Receiver<bool>,
    ticks: Interval,
    silent: u32,
    totals: Totals,
    /// The entries that the reader missed before it connected.
    before: Option<String>,
    _place: OwnedSemaphorePermit,
}

/// Returns the stream. `Last-Event-ID` or `after` is the number of the last entry that the reader has; without it the
/// stream begins now.
pub(super) fn stream(status: &Status, query: &Query, head: &request::Parts) -> Response<Body> {
    let Ok(place) = Arc::clone(&status.readers.0).try_acquire_owned() else {
        let message = "too many readers of /api/events: close one, or read /api/history";
        return response::error(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", message);
    };
    let header = head.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()?.parse().ok());
    let reader = Reader::new(status, header.or_else(|| query.number("after")), place);
    let chunks = stream::unfold(reader, |mut reader| async move {
        let text = reader.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), reader))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    for (name, value) in [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // Asks nginx not to collect the stream.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

// === impl Reader ===

impl Reader {
    fn new(status: &Status, after: Option<u64>, place: OwnedSemaphorePermit) -> Self {
        let recorder = status.recorder.clone();
        let entries = recorder.live();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let missed = after.map(|id| recorder.history(&crate::history::HistoryQuery::default().after(id)));
        let text = |entries: Vec<serde_json::Value>| {
            let lines = entries.iter().rev().map(|entry| event("history", entry["id"].as_u64(), entry));
            lines.collect::<String>()
        };
        Self {
            totals: recorder.totals(),
            entries,
            stopping: status.stopping.subscribe(),
            ticks,
            silent: SILENT_TICKS,
            before: Some(missed.map(text).unwrap_or_default()),
            recorder,
            _place: place,
        }
    }

    /// Returns the next part of the stream; `None` once the server stops.
    async fn next(&mut self) -> Option<String> {
        if let Some(before) = self.before.take().filter(|text| !text.is_empty()) {
            return Some(before);
        }
        loop {
            let Self { stopping, entries, ticks, .. } = self;
            let stopped = async { drop(stopping.wait_for(|stopping| *stopping).await) };
            let next = tokio::select! {
                () = stopped => return None,
                entry = entries.recv() => Some(entry),
                _ = ticks.tick() => None,
            };
            let text = match next {
                None => self.tick(),
                Some(Ok(entry)) => Some(event("history", Some(entry.id), &entry)),
                Some(Err(RecvError::Lagged(count))) => Some(event("missed", None, &count)),
                Some(Err(RecvError::Closed)) => return None,
            };
            if let Some(text) = text {
                self.silent = 0;
                return Some(text);
            }
        }
    }

    fn tick(&mut self) -> Option<String> {
        let totals = self.recorder.totals();
        if totals != self.totals {
            self.totals = totals;
            return Some(event("totals", None, &totals));
        }
        self.silent += 1;
        (self.silent >= SILENT_TICKS).then(|| ":\n\n".to_owned())
    }
}

/// Returns one server-sent event. JSON has no line breaks.
fn event(name: &str, id: Option<u64>, data: &impl serde::Serialize) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n")
}

// === impl Readers ===

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READERS)))
    }
}
