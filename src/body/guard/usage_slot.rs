//! The result of a response body when it has ended, and its listeners.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::body::guard::StreamErrorKind;
use crate::body::meter::Usage;

/// Receives the usage of a response when its body has ended. Clones share the slot.
#[derive(Clone)]
pub(crate) struct UsageSlot(Arc<Shared<dyn Settle>>);

/// A settlement that is called once, when a body has ended.
pub(crate) trait Settle: Send + Sync {
    /// Returns whether the response should be read for its usage.
    fn wants_usage(&self) -> bool;

    /// Called when the body has ended or is not read any more, with the usage that the provider reported, if any.
    fn settle(&self, usage: Option<Usage>);

    /// Called if the body failed after it was handed to the caller, before [`settle`](Self::settle).
    fn failed(&self, kind: StreamErrorKind);
}

/// The end of a body that was handed to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// All of it has passed.
    Complete,
    Failed(StreamErrorKind),
    /// Its reader dropped it before its end.
    Abandoned,
}

/// Listens to the end of a body. Implemented by the link of a chain that handed the body over.
pub(crate) trait EndListener: Send + Sync {
    /// Called when the body has ended. `ticket` is the number that was given with the listener.
    fn ended(&self, ticket: u64, end: BodyEnd);
}

/// One allocation for all parts.
struct Shared<T: ?Sized> {
    left: OnceLock<BodyRemainder>,
    error: OnceLock<StreamErrorKind>,
    listener: OnceLock<(Arc<dyn EndListener>, u64)>,
    /// Whether the body is read before it is handed to the caller. A failure is then not the failure of a stream.
    held_back: AtomicBool,
    settle: T,
}

/// The source of the usage of a body that has ended.
pub(super) enum BodyRemainder {
    /// A response, which is parsed when its usage is asked for.
    Json(Bytes),
    Counted(Usage),
}

/// A settlement that does nothing.
struct NoListener;

// === impl UsageSlot ===

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

    /// Returns the usage, once it is known.
    pub(crate) fn get(&self) -> Option<Usage> {
        self.0.left.get()?.usage()
    }

    /// Returns the error with which the body failed, once it has.
    pub(crate) fn error(&self) -> Option<StreamErrorKind> {
        self.0.error.get().copied()
    }

    /// Sets whether the body is read before it is handed over. Its end then concerns only the reader.
    pub(crate) fn hold_back(&self, held_back: bool) {
        self.0.held_back.store(held_back, Ordering::Relaxed);
    }

    /// Returns whether the body is read before it is handed over.
    pub(super) fn is_held_back(&self) -> bool {
        self.0.held_back.load(Ordering::Relaxed)
    }

    /// Sets the listener for the end of the body. Only the first one is used.
    pub(crate) fn listen(&self, listener: Arc<dyn EndListener>, ticket: u64) {
        let _first = self.0.listener.set((listener, ticket));
    }

    /// Returns whether the usage is wanted, now or possibly later.
    pub(super) fn is_of_use(&self) -> bool {
        self.0.settle.wants_usage() || self.is_shared()
    }

    /// Returns whether anything else may read the slot.
    fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn leave(&self, left: Option<BodyRemainder>, end: BodyEnd) {
        if !self.is_held_back() {
            self.tell(end);
        }
        let told = left.as_ref().filter(|_| self.0.settle.wants_usage()).and_then(BodyRemainder::usage);
        self.0.settle.settle(told);
        if self.is_shared()
            && let Some(left) = told.map(BodyRemainder::Counted).or(left)
        {
            // The first one that was stored comes from the same body.
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
        f.debug_struct("UsageSlot").field("usage", &self.get()).field("error", &self.error()).finish()
    }
}

impl BodyRemainder {
    fn usage(&self) -> Option<Usage> {
        match self {
            Self::Json(response) => Usage::from_body(response),
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
