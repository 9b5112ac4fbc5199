//! The statements of responses about a gauge: its size, its rate, the use of its window.

use crate::clock::Moment;
use crate::limits::learned::margin::SafetyMargin;
use crate::limits::ledger::checkpoint::Checkpoint;
use crate::limits::ledger::gauge::{Counter, Gauge, LATEST, us};
use crate::limits::ledger::window::{CORRECTION_US, WindowState, narrow};

/// Sets the size of a bucket, and the time in which one unit comes back, in microseconds.
pub(in crate::limits) fn set_bucket(gauge: &mut Gauge, limit: u64, interval_us: f64) {
    let stated = interval_us as f32;
    if let Counter::Bucket { size, interval, .. } = &mut gauge.fill {
        // A margin learned at a slower rate does not apply to a rate more than twice as fast.
        if stated < *interval / 2.0 {
            gauge.margin = SafetyMargin::default();
        }
        (*size, *interval) = (narrow(limit).max(1), stated);
    }
}

/// Sets the size of a window, the amount used now, and its end in microseconds since the Unix epoch.
pub(in crate::limits) fn set_period(gauge: &mut Gauge, limit: u64, used_now: u64, ends_at: u64, now: Moment) {
    if let Counter::WindowState(period) = &mut gauge.fill {
        // A request in flight across the reset belongs to the window that the header reports.
        let began = if period.ends <= now.as_unix_us() { 0 } else { period.began };
        let WindowState { size, used, ends, .. } = &mut **period;
        // A limit of zero has nothing left, so it counts as used.
        (*size, *used, *ends) = (limit, used_now.max(u64::from(limit == 0)), ends_at);
        period.began = began;
    }
}

/// Corrects a bucket by a response: the bucket would be full at `warned` if nothing had been taken since
/// the request of the mark. The error of the gauge at that time is its error now, minus the corrections
/// since. Amounts taken since stay taken.
///
/// A bucket that was fuller than estimated may have overflowed since. Each later request found at most
/// `size - 1` units missing, so no more than that can be left of the difference: for a bucket of size one,
/// nothing.
pub(in crate::limits) fn is_full_at(gauge: &mut Gauge, warned: u64, checkpoint: Option<Checkpoint>) {
    let Counter::Bucket { size, interval, full_at, corrections } = &mut gauge.fill else { return };
    let (before, warned) = (full_at.cast_signed(), warned.min(LATEST).cast_signed());
    let since =
        |checkpoint: Checkpoint| i64::from(corrections.wrapping_sub(checkpoint.corrections).cast_signed());
    // The time of the mark, plus the corrections since: the estimate that the response corrects.
    let thought = checkpoint
        .map_or(before, |checkpoint| checkpoint.full_at.cast_signed() + since(checkpoint) * CORRECTION_US);
    // Without a later request, the whole difference is left; otherwise at most `size - 1` units.
    let is_last = checkpoint.is_none_or(|checkpoint| checkpoint.taken == gauge.taken);
    let kept = if is_last { i64::MAX } else { us(*interval, u64::from(*size) - 1).cast_signed() };
    let after = warned.max(before + (warned - thought).max(-kept));
    *full_at = after.cast_unsigned().min(LATEST);
    *corrections = corrections.wrapping_add(((after - before) / CORRECTION_US) as u32);
}
