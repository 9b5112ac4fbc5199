//! The links that have not had their turn.

use http::Method;
use http::request::Parts;

use crate::exchange::home::Home;
use crate::fallback::link::Chain;
use crate::fallback::pin::ProviderPin;
use crate::provider::{Endpoint, asks_for_websocket, websocket_endpoint};

/// The order of the links: from the start on, and round to it again. For a request that is pinned, or has a
/// [`Home`], one link only.
///
/// Links without the endpoint of the request are left out. A request about stored objects is bound to the company of
/// the first link that has the endpoint.
pub(in crate::fallback) struct LinkOrder {
    next: usize,
    /// Number of links that will have a turn.
    pub(in crate::fallback) left: usize,
    /// Number of links that have not been looked at.
    unseen: usize,
    endpoint: Endpoint,
    /// The link to whose company the request is bound.
    home: Option<usize>,
}

// === impl LinkOrder ===

impl LinkOrder {
    pub(in crate::fallback) fn of<B>(chain: &Chain<B>, head: &Parts) -> Self {
        let Parts { method, extensions, .. } = head;
        let path = head.uri.path();
        let is_websocket = *method == Method::GET && asks_for_websocket(&head.headers);
        let endpoint = if is_websocket { websocket_endpoint(path) } else { Endpoint::of_path(path) };
        let home = extensions.get::<Home>().map(Home::provider);
        let home = home.and_then(|home| chain.links.iter().position(|link| *link.name == *home));
        let pin = extensions.get::<ProviderPin>();
        if pin.is_some() || home.is_some() {
            let is_pinned = |pin: &ProviderPin| chain.links.iter().position(|link| pin.is_to(&link.name));
            let pinned = pin.map_or(home, is_pinned);
            let left = usize::from(pinned.is_some());
            return Self { next: pinned.unwrap_or_default(), left, unseen: left, endpoint, home: pinned };
        }
        // A WebSocket begins a conversation, although its handshake is a GET.
        let is_bound = !is_websocket && endpoint.is_bound(method, path);
        let first = || chain.links.iter().position(|link| link.route.serves(endpoint));
        let home = if is_bound { first() } else { None };
        let next = home.unwrap_or_else(|| chain.start());
        let mut order = Self { next, left: 0, unseen: chain.links.len(), endpoint, home };
        order.count(chain);
        order
    }

    /// Binds the request to the company of a link that has had its turn.
    pub(in crate::fallback) fn bind<B>(&mut self, home: usize, chain: &Chain<B>) {
        if self.home.is_none() {
            self.home = Some(home);
            self.count(chain);
        }
    }

    /// Returns the endpoint of the request.
    pub(in crate::fallback) const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Returns whether the request is bound to one company.
    pub(in crate::fallback) const fn is_bound(&self) -> bool {
        self.home.is_some()
    }

    /// Returns the next link.
    pub(in crate::fallback) fn next<B>(&mut self, chain: &Chain<B>) -> Option<usize> {
        while self.unseen > 0 {
            let link = self.next;
            self.next = (link + 1) % chain.links.len();
            self.unseen -= 1;
            if self.has_turn(link, chain) {
                self.left -= 1;
                return Some(link);
            }
        }
        None
    }

    fn count<B>(&mut self, chain: &Chain<B>) {
        let links = chain.links.len();
        let unseen = (0..self.unseen).map(|further| (self.next + further) % links);
        self.left = unseen.filter(|link| self.has_turn(*link, chain)).count();
    }

    fn has_turn<B>(&self, link: usize, chain: &Chain<B>) -> bool {
        let route = &chain.links[link].route;
        let is_near = |home: usize| home == link || route.shares_ids_with(&chain.links[home].route);
        (self.home == Some(link) || route.serves(self.endpoint)) && self.home.is_none_or(is_near)
    }
}
