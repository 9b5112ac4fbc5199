//! The events of operators: what they did to keys, and what followed.

use std::time::Duration;

use serde::Serialize;

use crate::event::millis::ms;
use crate::key::KeyId;
use crate::provider::ModelId;

/// An act of an operator, or the change of keys that followed from it. Part of an
/// [`EventKind`](crate::event::EventKind), and serialized like its other kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperatorEvent {
    /// An operator [reset](crate::KeyPool::reset) a key, or [all keys](crate::KeyPool::reset_all).
    #[non_exhaustive]
    Reset {
        /// The key. `None` for all keys of the pool.
        key: Option<KeyId>,
    },
    /// An operator reset the [counts of declared limits](crate::KeyPool::reset_quota).
    #[non_exhaustive]
    QuotaReset {
        /// The key. The counts of its account are reset, too.
        key: KeyId,
        /// The model, if only its counts were reset.
        model: Option<ModelId>,
    },
    /// An operator put a key into a [cooldown](crate::KeyPool::cool_down).
    #[non_exhaustive]
    ForcedCooldown {
        /// The key that is in cooldown.
        key: KeyId,
        /// The model, if the cooldown is for this model only.
        model: Option<ModelId>,
        /// Minimum length of the cooldown.
        #[serde(rename = "wait_ms", serialize_with = "ms")]
        wait: Duration,
    },
    /// An operator took a key out of use with [`disable`](crate::KeyPool::disable).
    #[non_exhaustive]
    Disabled {
        /// The key that is disabled.
        key: KeyId,
    },
    /// An operator took a key into use again with [`enable`](crate::KeyPool::enable).
    #[non_exhaustive]
    Enabled {
        /// The key that is enabled.
        key: KeyId,
    },
    /// A key was added to a pool at run time.
    #[non_exhaustive]
    Added {
        /// The key that is new.
        key: KeyId,
    },
    /// The secret of a key, or its account, was replaced at run time. The key starts clean.
    #[non_exhaustive]
    Replaced {
        /// The key that is new under this id.
        key: KeyId,
    },
    /// The settings of a key were changed at run time. Its state stays.
    #[non_exhaustive]
    Changed {
        /// The key with other settings.
        key: KeyId,
    },
    /// A key was removed from a pool at run time. It takes no new request; its requests in flight go on.
    #[non_exhaustive]
    Removed {
        /// The key that was removed.
        key: KeyId,
    },
    /// The last request of a key has ended that was removed, replaced or [drained](crate::KeyPool::drain).
    #[non_exhaustive]
    Drained {
        /// The key without requests. A key that was replaced has the id of its successor.
        key: KeyId,
    },
}
