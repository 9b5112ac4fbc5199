//! The present one of several values, for holders of an older one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A pointer to the present value that does not keep it alive. Every value holds it, so that the holder of an
/// old value finds the present one.
#[derive(Debug)]
pub(in crate::pool) struct Current<T>(Mutex<Weak<T>>);

// === impl Current ===

impl<T> Current<T> {
    /// Returns the present value. `None` if it was dropped.
    pub(in crate::pool) fn get(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    pub(in crate::pool) fn set(&self, value: &Arc<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(value);
    }
}

impl<T> Default for Current<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
