//! What is left of a response when its body is over, and who hears of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::body::guard::StreamErrorKind;
use crate::body::meter::Usage;

/// Where the usage of an answer is left when its body has come to its end. Clones share it.
#[derive(Clone)]
pub(crate) struct UsageSlot(Arc<Shared<dyn Settle>>);

/// Somebody who is told, once, when a body is over.
pub(crate) trait Settle: Send + Sync {
    /// Whether the usage is worth reading the answer for.
    fn wants_usage(&self) -> bool;

    /// The body has ended, or is not read any more. This is what its provider counted, if it said so.
    fn settle(&self, usage: Option<Usage>);

    /// The body failed after it was handed to the caller. Called before [`settle`](Self::settle).
    fn failed(&self, kind: StreamErrorKind);
}

/// How a body ended that was handed to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// All of it has passed.
    Complete,
    Failed(StreamErrorKind),
    /// Its reader left before its end.
    Abandoned,
}

/// Hears how a body ended: the chain that handed it over.
pub(crate) trait EndListener: Send + Sync {
    /// `ticket` is the number that was given with the listener.
    fn ended(&self, ticket: u64, end: BodyEnd);
}

/// One allocation for all.
struct Shared<T: ?Sized> {
    left: OnceLock<BodyRemainder>,
    error: OnceLock<StreamErrorKind>,
    listener: OnceLock<(Arc<dyn EndListener>, u64)>,
    /// The body is read before it is the caller's, so that its failure is no failure of a stream.
    held_back: AtomicBool,
    settle: T,
}

/// What is left of a body that tells its usage.
pub(super) enum BodyRemainder {
    /// An answer, which is parsed when somebody wants to know.
    Json(Bytes),
    Counted(Usage),
}

/// Nobody.
struct NoListener;

// === impl UsageCell ===

impl UsageSlot {
    pub(crate) fn new(settle: impl Settle + 'static) -> Self {
        Self(Arc::new(Shared {
            left: OnceLock::new(),
            error: OnceLock::new(),
            listener: OnceLock::new(),
            held_back: AtomicBool::new(false),
            settle,
        }))
    }

    /// The usage, once it is known.
    pub(crate) fn get(&self) -> Option<Usage> {
        self.0.left.get()?.usage()
    }

    /// How the body failed, once it has.
    pub(crate) fn error(&self) -> Option<StreamErrorKind> {
        self.0.error.get().copied()
    }

    /// Whether the body is read before it is handed over: what becomes of it then concerns its reader alone.
    pub(crate) fn hold_back(&self, held_back: bool) {
        self.0.held_back.store(held_back, Ordering::Relaxed);
    }

    /// Has a listener hear how the body ends. Only the first one given is heard.
    pub(crate) fn listen(&self, listener: Arc<dyn EndListener>, ticket: u64) {
        let _first = self.0.listener.set((listener, ticket));
    }

    /// Whether anybody may ask, or wants to be told.
    pub(super) fn is_of_use(&self) -> bool {
        self.0.settle.wants_usage() || Arc::strong_count(&self.0) > 1
    }

    pub(super) fn leave(&self, left: Option<BodyRemainder>, end: BodyEnd) {
        if !self.0.held_back.load(Ordering::Relaxed) {
            self.tell(end);
        }
        let told = left.as_ref().filter(|_| self.0.settle.wants_usage()).and_then(BodyRemainder::usage);
        self.0.settle.settle(told);
        if let Some(left) = told.map(BodyRemainder::Counted).or(left) {
            // Whoever was first has seen the same body.
            let _known = self.0.left.set(left);
        }
    }

    fn tell(&self, end: BodyEnd) {
        if let BodyEnd::Failed(kind) = end
            && self.0.error.set(kind).is_ok()
        {
            self.0.settle.failed(kind);
        }
        if let Some((listener, ticket)) = self.0.listener.get() {
            listener.ended(*ticket, end);
        }
    }
}

impl Default for UsageSlot {
    fn default() -> Self {
        Self::new(NoListener)
    }
}

impl fmt::Debug for UsageSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageCell").field("usage", &self.get()).field("error", &self.error()).finish()
    }
}

impl BodyRemainder {
    fn usage(&self) -> Option<Usage> {
        match self {
            Self::Json(answer) => Usage::from_answer(answer),
            Self::Counted(usage) => Some(*usage),
        }
    }
}

impl Settle for NoListener {
    fn wants_usage(&self) -> bool {
        false
    }

    fn settle(&self, _: Option<Usage>) {}

    fn failed(&self, _: StreamErrorKind) {}
}
