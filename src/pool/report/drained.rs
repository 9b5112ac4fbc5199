//! The end of the last request of a key that takes no more.

use crate::event::{OperatorEvent, Severity};
use crate::pool::keys::common::Common;
use crate::pool::keys::key::Key;

/// Announces the end of the last request of a key that was drained or removed, and wakes those who wait for
/// it. Does nothing while requests of the key are in flight.
#[cold]
pub(in crate::pool) fn left(common: &Common, key: &Key) {
    if key.is_drained_now() {
        common.emit(Severity::Change, || OperatorEvent::Drained { key: key.id.clone() }.into());
    }
    common.left.notify_waiters();
}
