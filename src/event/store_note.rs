//! The results of stores, for their metrics.

/// A result of a store of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreNote {
    /// It has the present state.
    Works,
    /// It could not be written, or not be reached.
    Fails,
    /// The store has stopped, or no longer has this pool.
    Ended,
}
