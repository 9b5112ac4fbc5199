//! A refusal of a request that came too early, as a ledger looks at it.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::cadence::Cadence;
use crate::limits::ledger::checkpoint::Checkpoints;
use crate::limits::ledger::cost::Cost;

/// A refusal for arriving too fast.
pub(crate) struct Refused<'a> {
    /// The cost of the request.
    pub(crate) cost: &'a Cost,
    /// The checkpoint of the request, if the ledger existed when it was let in.
    pub(crate) checkpoints: Option<&'a Checkpoints>,
    pub(crate) sent: Moment,
    pub(crate) answered: Moment,
    /// The wait that the provider stated, at most [`ROUNDED`](crate::limits::ROUNDED).
    pub(crate) stated: Option<Duration>,
    /// The requests that the key has served.
    pub(crate) key: Cadence,
}
