//! The search of a request's body for ids, as it arrives.

use tower_key_rotation::Home;

use crate::affinity::Affinity;
use crate::affinity::passing::Passing;

/// A search of the body of a request for an id whose key is known, as the body arrives.
pub(crate) struct HomeSearch<'a> {
    affinity: &'a Affinity,
    passing: Passing,
    home: Option<Home>,
}

// === impl HomeSearch ===

impl<'a> HomeSearch<'a> {
    pub(super) fn new(affinity: &'a Affinity) -> Self {
        Self { affinity, passing: Passing::default(), home: None }
    }

    /// Searches the next data of the body.
    pub(crate) fn see(&mut self, data: &[u8]) {
        let Self { affinity, passing, home } = self;
        if home.is_none() {
            let known = |id: &str| affinity.known(id);
            passing.see(data, |id| *home = home.take().or_else(|| known(id)));
        }
    }

    /// Returns the key that holds the first object that is known.
    pub(crate) fn into_home(self) -> Option<Home> {
        self.home
    }
}
