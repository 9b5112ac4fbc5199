//! Limits that several instances share, as the store sees them: the demands of a ledger, and grants for it.

use std::sync::Arc;

use crate::clock::{Moment, WallOffset};
use crate::limits::ledger::Ledger;
use crate::limits::ledger::gauge::allotted::{self, GaugeDemand, WindowName};
use crate::limits::ledger::gauge::shared::GaugeName;
use crate::limits::ledger::sharing::demand::{Demand, Grant, Others};
use crate::limits::ledger::sharing::link::Sharing;

/// Shares the declared limits of a ledger that have a window of two seconds or more. With `is_new`, this instance has
/// not used them so far, and takes its equal part; otherwise it waits for the first grant, and uses the whole limit
/// until then.
pub(crate) fn share(ledger: &Ledger, sharing: &Arc<Sharing>, is_new: bool, now: Moment) {
    ledger.with_declared(|gauges| allotted::share(gauges, sharing, is_new, now));
}

/// Shares no limit of a ledger any more.
pub(crate) fn unshare(ledger: &Ledger) {
    ledger.with_declared(allotted::unshare);
}

/// Returns the names of the limits of a ledger, and those of their windows. `clock` is the wall clock.
pub(crate) fn windows(ledger: &Ledger, clock: WallOffset, now: Moment) -> Vec<(GaugeName, WindowName)> {
    ledger.with_declared(|gauges| allotted::windows(gauges, clock, now))
}

/// Returns the demands for the limits of a ledger. `others` returns the state of the other instances at the limit with
/// this index in [`windows`].
pub(crate) fn demands(
    ledger: &Ledger,
    others: impl Fn(usize) -> Others,
    clock: WallOffset,
    now: Moment,
) -> Vec<GaugeDemand> {
    ledger.with_declared(|gauges| allotted::demands(gauges, others, clock, now))
}

/// Takes over a grant for a limit of a ledger. Returns whether there is more room than before.
pub(crate) fn grant(ledger: &Ledger, to: (&GaugeName, &Demand), grant: Grant, now: Moment) -> bool {
    ledger.with_declared(|gauges| allotted::grant(gauges, to, grant, now))
}

/// Grants this instance an equal part of what the others do not hold, because the store is away. Returns whether there
/// is more room than before.
pub(crate) fn go_alone(ledger: &Ledger, now: Moment) -> bool {
    ledger.with_declared(|gauges| allotted::go_alone(gauges, now))
}
