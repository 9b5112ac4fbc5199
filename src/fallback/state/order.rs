//! The links that have not had their turn.

use crate::fallback::link::Chain;
use crate::fallback::pin::ProviderPin;

/// The order of the links: from the start on, and round to it again. For a pinned request one link only.
pub(in crate::fallback) struct LinkOrder {
    next: usize,
    pub(in crate::fallback) left: usize,
    links: usize,
}

// === impl LinkOrder ===

impl LinkOrder {
    pub(in crate::fallback) fn of<B>(chain: &Chain<B>, pin: Option<&ProviderPin>) -> Self {
        let links = chain.links.len();
        let Some(pin) = pin else { return Self { next: chain.start(), left: links, links } };
        let pinned = chain.links.iter().position(|link| pin.is_to(&link.name));
        Self { next: pinned.unwrap_or_default(), left: pinned.map_or(0, |_| 1), links }
    }
}

impl Iterator for LinkOrder {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let link = self.next;
        self.next = (link + 1) % self.links;
        Some(link)
    }
}
