//! The policy that selects the next key.

use crate::text::words;

/// The policy that selects the next key among the usable ones.
///
/// A request that belongs to a [`Session`](crate::pool::Session) goes to the session's key first, whatever the policy. Weights are
/// those of [`ApiKey::weight`](crate::ApiKey::weight).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Each key in its turn, as often as its weight says. The default.
    #[default]
    RoundRobin,
    /// The first usable key in the order of the list, so that one key is used up before the next is touched.
    /// Ignores weights.
    InOrder,
    /// A random key, with a probability in proportion to its weight.
    Random,
    /// The key with the fewest requests in flight for its weight; among equals, the next in turn. With more
    /// than eight usable keys, compares only the next in turn and a random one.
    LeastInFlight,
    /// The key with the larger fraction of its known limits left, out of two that are drawn at random by
    /// their weights. Among equals, the one with fewer requests in flight.
    MostRemaining,
}

words!(Selection {
    RoundRobin => "round_robin",
    InOrder => "in_order",
    Random => "random",
    LeastInFlight => "least_in_flight",
    MostRemaining => "most_remaining",
});
