//! The debug output of a lease, which shows no secret.

use std::fmt;

use crate::pool::Lease;

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, began, .. } = self;
        f.debug_struct("Lease")
            .field("provider", &set.common.provider.name())
            .field("key", self.key_id())
            .field("probe", &self.is_probe())
            .field("began", began)
            .finish_non_exhaustive()
    }
}
