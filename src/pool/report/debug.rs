//! Debug output of a pool.

use std::fmt;

use crate::pool::KeyPool;
use crate::pool::keys::common::Common;
use crate::pool::shared::Shared;

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { common, set, .. } = &*self.0;
        let Common { provider, selection, .. } = &**common;
        f.debug_struct("KeyPool")
            .field("provider", &provider.name())
            .field("selection", selection)
            .field("keys", &set.load())
            .finish_non_exhaustive()
    }
}
