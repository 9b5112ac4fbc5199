//! A source of frames, its record, and any number of cursors.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tower::BoxError;

use crate::body::replay::record::{Failure, Mode, Polled, Record, Source, Unavailable};
use crate::body::rest::longer;

/// The position of one clone of a teed body in the record.
pub(in crate::body) struct Cursor {
    tee: Arc<Tee>,
    /// Distinguishes the cursors of one tee.
    id: u64,
    /// Number of the next frame.
    at: usize,
    trailers_sent: bool,
}

/// Observes the arrival of a teed body without reading it.
pub(in crate::body) struct Watcher {
    tee: Arc<Tee>,
    id: u64,
}

pub(in crate::body) struct Tee {
    state: Mutex<Record>,
    waiting: Arc<Waiting>,
    /// The id of the next cursor.
    next_id: AtomicU64,
    /// Number of cursors. The last one needs no record.
    cursors: AtomicU64,
}

/// The tasks that wait for the source.
///
/// Separate from the state, since a source may wake while it is polled. It must not own the tee either: a source
/// keeps its last waker, and so would keep its own owner, and with it the record, forever.
#[derive(Default)]
struct Waiting(Mutex<Vec<(u64, Waker)>>);

// === impl Cursor ===

impl Cursor {
    pub(in crate::body) fn poll_frame(&mut self, cx: &Context<'_>) -> Polled {
        let mut state = self.tee.state();
        if state.mode == Mode::Recording && self.tee.cursors.load(Ordering::Acquire) == 1 {
            state.mode = Mode::Claimed(self.id);
        }
        if !state.admits(self.id) {
            return Poll::Ready(Some(Err(Unavailable::NotRecorded.into())));
        }
        if let Some(data) = state.recorded_at(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        self.tee.waiting.add(self.id, cx.waker());
        // The source keeps one waker, and the task that polled last may never poll again. So it gets a waker of the
        // tee, which wakes all waiting tasks.
        let waker = Waker::from(Arc::clone(&self.tee.waiting));
        let Poll::Ready(pulled) = state.pull(&mut Context::from_waker(&waker)) else {
            state.ask(self.id);
            return Poll::Pending;
        };
        let frame = match pulled {
            Some(data) => {
                state.enter(&data, self.id);
                self.at += 1;
                Some(Ok(Frame::data(data)))
            }
            None => state.end(&mut self.trailers_sent),
        };
        drop(state);
        self.tee.waiting.remove(self.id);
        waker.wake();
        Poll::Ready(frame)
    }

    pub(in crate::body) fn is_replayable(&self) -> bool {
        let state = self.tee.state();
        matches!(state.failure, Failure::None) && !matches!(state.mode, Mode::Claimed(_))
    }

    /// Returns whether all frames that are pulled are kept.
    pub(in crate::body) fn is_recording(&self) -> bool {
        let state = self.tee.state();
        matches!(state.failure, Failure::None) && state.mode == Mode::Recording
    }

    pub(in crate::body) fn take_error(&self) -> Option<BoxError> {
        let mut state = self.tee.state();
        match std::mem::replace(&mut state.failure, Failure::Told) {
            Failure::New(error) => Some(error),
            other => {
                state.failure = other;
                None
            }
        }
    }

    pub(in crate::body) fn watcher(&self) -> Watcher {
        let id = self.tee.next_id.fetch_add(1, Ordering::Relaxed);
        Watcher { tee: Arc::clone(&self.tee), id }
    }

    pub(in crate::body) fn recorded(&self) -> Vec<Bytes> {
        let state = self.tee.state();
        if state.base == 0 { state.record.clone() } else { Vec::new() }
    }

    pub(in crate::body) fn is_end_stream(&self) -> bool {
        let state = self.tee.state();
        let untold = state.trailers.is_some() && !self.trailers_sent;
        let source_ended = state.has_ended();
        self.at == state.base + state.record.len()
            && source_ended
            && !untold
            && matches!(state.failure, Failure::None)
    }

    pub(in crate::body) fn size_hint(&self) -> SizeHint {
        let state = self.tee.state();
        let read = self.at.saturating_sub(state.base);
        let known: usize = state.record.iter().skip(read).map(Bytes::len).sum();
        let source = state.source.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        longer(&source, known)
    }
}

impl Clone for Cursor {
    fn clone(&self) -> Self {
        let id = self.tee.next_id.fetch_add(1, Ordering::Relaxed);
        self.tee.cursors.fetch_add(1, Ordering::AcqRel);
        Self { tee: Arc::clone(&self.tee), id, at: 0, trailers_sent: false }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.tee.cursors.fetch_sub(1, Ordering::AcqRel);
        self.tee.waiting.remove(self.id);
        let asked = self.tee.state().stop_asking(self.id);
        if asked {
            Arc::clone(&self.tee.waiting).wake();
        }
    }
}

// === impl Watcher ===

impl Watcher {
    pub(in crate::body) fn has_ended(&self) -> bool {
        self.tee.state().has_ended()
    }

    /// Returns whether a reader waits for the caller to send more.
    pub(in crate::body) fn is_awaited(&self) -> bool {
        !self.tee.state().asking.is_empty()
    }

    /// Polls for the reader's turn: ready unless the caller is waited for, with the last time at which that was so.
    pub(in crate::body) fn poll_turn(&self, cx: &Context<'_>) -> Poll<Option<Instant>> {
        let state = self.tee.state();
        if state.asking.is_empty() {
            return Poll::Ready(state.waited);
        }
        self.tee.waiting.add(self.id, cx.waker());
        Poll::Pending
    }

    /// Records the source. Ready once all of it is recorded, or the record is full; then the first cursor that
    /// reads continues.
    pub(in crate::body) fn poll_record(&self, cx: &Context<'_>) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.tee.waiting));
        loop {
            let mut state = self.tee.state();
            if state.mode != Mode::Recording || state.source.is_none() {
                return Poll::Ready(());
            }
            self.tee.waiting.add(self.id, cx.waker());
            let Poll::Ready(pulled) = state.pull(&mut Context::from_waker(&waker)) else {
                return Poll::Pending;
            };
            if let Some(data) = pulled {
                state.keep(data);
            }
            drop(state);
            waker.wake_by_ref();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tee.waiting.remove(self.id);
    }
}

// === impl Tee ===

impl Tee {
    /// Starts with the result of the first poll of the source.
    pub(in crate::body) fn start(source: Source, first: Polled, cap: usize) -> Cursor {
        let least = usize::try_from(source.size_hint().lower()).unwrap_or(usize::MAX);
        let mut state = Record {
            source: Some(source),
            record: Vec::new(),
            base: 0,
            recorded: 0,
            cap,
            mode: Mode::Recording,
            trailers: None,
            failure: Failure::None,
            asking: Vec::new(),
            waited: None,
        };
        if let Poll::Ready(first) = first
            && let Some(data) = state.take_in(first)
        {
            state.recorded = data.len();
            state.record.push(data);
        }
        if state.recorded.saturating_add(least) > cap {
            state.mode = Mode::Open;
        }
        let tee = Self {
            state: Mutex::new(state),
            waiting: Arc::default(),
            next_id: AtomicU64::new(1),
            cursors: AtomicU64::new(1),
        };
        Cursor { tee: Arc::new(tee), id: 0, at: 0, trailers_sent: false }
    }

    fn state(&self) -> MutexGuard<'_, Record> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    fn add(&self, id: u64, waker: &Waker) {
        let mut waiting = self.all();
        match waiting.iter_mut().find(|(waiter, _)| *waiter == id) {
            Some((_, present)) => present.clone_from(waker),
            None => waiting.push((id, waker.clone())),
        }
    }

    fn remove(&self, id: u64) {
        self.all().retain(|(waiter, _)| *waiter != id);
    }

    fn all(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.all());
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}
