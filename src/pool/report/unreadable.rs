//! Responses with an encoding that can't be read.

use std::sync::atomic::Ordering;

use crate::pool::keys::common::Common;

/// Warns that a response can't be read. Emitted once for each pool.
pub(in crate::pool) fn report_unreadable(common: &Common) {
    if !common.said_unreadable.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "tower_key_rotation",
            provider = common.provider.name(),
            "a response is compressed and can't be judged: enable the feature `decompress`, or put a \
             decompression layer inside the rotation layer"
        );
    }
}
