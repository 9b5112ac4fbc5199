//! Where the usage of an answer is left when its body is over, and who is told.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::body::meter::Usage;

/// Where the usage of an answer is left when its body has come to its end. Clones share it.
#[derive(Clone)]
pub(crate) struct UsageCell(Arc<Shared<dyn Settle>>);

/// Somebody who is told, once, when a body is over.
pub(crate) trait Settle: Send + Sync {
    /// Whether the usage is worth reading the answer for.
    fn wants_usage(&self) -> bool;

    /// The body has ended, or is not read any more. This is what its provider counted, if it said so.
    fn settle(&self, usage: Option<Usage>);
}

/// One allocation for both.
struct Shared<T: ?Sized> {
    left: OnceLock<Left>,
    settle: T,
}

/// What is left of a body that tells its usage.
pub(super) enum Left {
    /// An answer, which is parsed when somebody wants to know.
    Answer(Bytes),
    Counted(Usage),
}

/// Nobody.
struct Nobody;

// === impl UsageCell ===

impl UsageCell {
    pub(crate) fn new(settle: impl Settle + 'static) -> Self {
        Self(Arc::new(Shared { left: OnceLock::new(), settle }))
    }

    /// The usage, once it is known.
    pub(crate) fn get(&self) -> Option<Usage> {
        self.0.left.get()?.usage()
    }

    /// Whether anybody may ask, or wants to be told.
    pub(super) fn is_of_use(&self) -> bool {
        self.0.settle.wants_usage() || Arc::strong_count(&self.0) > 1
    }

    pub(super) fn leave(&self, left: Option<Left>) {
        let told = left.as_ref().filter(|_| self.0.settle.wants_usage()).and_then(Left::usage);
        self.0.settle.settle(told);
        if let Some(left) = told.map(Left::Counted).or(left) {
            // Whoever was first has seen the same body.
            let _known = self.0.left.set(left);
        }
    }
}

impl Default for UsageCell {
    fn default() -> Self {
        Self::new(Nobody)
    }
}

impl fmt::Debug for UsageCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UsageCell").field(&self.get()).finish()
    }
}

impl Left {
    fn usage(&self) -> Option<Usage> {
        match self {
            Self::Answer(answer) => Usage::from_answer(answer),
            Self::Counted(usage) => Some(*usage),
        }
    }
}

impl Settle for Nobody {
    fn wants_usage(&self) -> bool {
        false
    }

    fn settle(&self, _: Option<Usage>) {}
}
