//! Allotments: the part of a shared limit that one instance may take.
//!
//! Several instances stay together within a limit if each takes no more than its allotment. A store grants
//! amounts and takes unused ones back; see [`crate::pool`] for the conversation. A request only compares two
//! numbers: the amount that was granted, and the amount that was spent of it.
//!
//! As long as no instance lacks anything, each holds an equal part of the amount that is left. If one does although no
//! other has more than that, the others keep twice the amount of their last half second, or an eighth of an equal part,
//! which is nothing when little is left. An idle one keeps nothing. So the last units are found, and a request that
//! needs a whole limit is let in when no other takes anything.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::sharing::demand::{Demand, Grant, LimitShape, Others, RecentUse};
use crate::limits::ledger::sharing::link::Sharing;
use crate::limits::ledger::window::US_PER_S;

/// The part of a limit that this instance may take.
#[derive(Debug)]
pub(in crate::limits) struct Allotment {
    sharing: Arc<Sharing>,
    /// Distinguishes this allotment from earlier ones of the same limit and instance.
    serial: u32,
    /// Number of windows and recounts so far. A grant of another epoch does not count.
    epoch: u32,
    /// The amount granted in this window, or ever from a bucket. `None` before the first grant: the limit is
    /// not shared yet.
    granted: Option<i64>,
    /// The amount taken in this window, or ever from a bucket.
    spent: i64,
    /// The amount granted for the next window.
    next: Option<i64>,
    /// The smallest amount that was refused since the last demand; zero for none.
    refused: u64,
    /// The room below which more is demanded ahead.
    low: i64,
    /// The refused amount for which the last grant was too small; zero for none.
    unmet: u64,
    last: LastGrant,
    recent: RecentUse,
    /// The time until which another instance lacks something, in microseconds since the Unix epoch.
    modest_until: u64,
    /// The time up to which an absent store was made up for, in microseconds since the Unix epoch.
    alone_since: Option<u64>,
}

/// The state of a limit as of the last grant.
#[derive(Clone, Copy, Debug, Default)]
struct LastGrant {
    at: u64,
    /// The amount spent as the store knows it. `None` before the first grant of a window.
    spent: Option<i64>,
    /// The amount spent lately as the store knows it.
    recent: u64,
    /// The amount that no instance has spent.
    left: u64,
    /// The part of it that no instance holds.
    free: u64,
}

/// Time after which a refused request looks again: 20 ms.
const SOON: Duration = Duration::from_millis(20);

/// Time for which an instance is modest after another one lacked something: 2 s, in microseconds.
const MODEST_US: u64 = 2 * US_PER_S;

/// Time after which a demand is repeated although nothing has changed, so that the store does not forget the
/// limit: 60 s, in microseconds.
const REPEAT_US: u64 = 60 * US_PER_S;

/// The same if something is free, of which this instance may take a part when the store goes away, and if a request
/// lacks something: 1 s.
const REPEAT_SOON_US: u64 = US_PER_S;

/// Part of its equal part that an instance in use keeps while others lack something.
const RESERVE: u64 = 8;

// === impl Allotment ===

impl Allotment {
    /// Creates the allotment of a limit of which this instance has spent an amount. Nothing is refused before
    /// the first grant.
    pub(in crate::limits) fn new(sharing: &Arc<Sharing>, spent: u64) -> Self {
        let spent = signed(spent);
        Self {
            sharing: Arc::clone(sharing),
            serial: fastrand::u32(1..),
            epoch: 0,
            granted: None,
            spent,
            next: None,
            refused: 0,
            low: 0,
            unmet: 0,
            last: LastGrant::default(),
            recent: RecentUse::new(spent),
            modest_until: 0,
            alone_since: None,
        }
    }

    /// Creates the allotment of a limit that this instance begins to share: its equal part, of which some may be spent.
    pub(in crate::limits) fn first(sharing: &Arc<Sharing>, size: u64, spent: u64) -> Self {
        sharing.call();
        Self { granted: Some(signed(sharing.part_of(size))), ..Self::new(sharing, spent) }
    }

    /// Returns whether an amount can be taken now.
    pub(in crate::limits) fn has_room_for(&self, amount: u64, now: Moment) -> bool {
        let Some(granted) = self.granted else { return true };
        amount == 0 || (granted.saturating_sub(self.spent) >= signed(amount) && self.sharing.is_valid(now))
    }

    /// Demands an amount for which there is no room. Returns the time at which it may be there, in microseconds since
    /// the Unix epoch: soon if others hold it; otherwise the end of the window, or the time at which it has come back.
    pub(in crate::limits) fn refuse(
        &mut self,
        amount: u64,
        limit: LimitShape,
        ends: Option<u64>,
        now: Moment,
    ) -> u64 {
        self.refused = if self.refused == 0 { amount } else { self.refused.min(amount) };
        self.sharing.call();
        let soon = now.saturating_add(SOON).as_unix_us();
        match (amount.saturating_sub(self.left(limit, now)), ends) {
            (0, _) => soon,
            (_, Some(ends)) => ends.max(soon),
            (lacking, None) => {
                now.as_unix_us().saturating_add((lacking as f64 * limit.interval) as u64).max(soon)
            }
        }
    }

    pub(in crate::limits) fn take(&mut self, amount: u64) {
        self.spent = self.spent.saturating_add(signed(amount));
        if self.room() < self.low {
            self.low = 0;
            self.sharing.call();
        }
    }

    pub(in crate::limits) fn give_back(&mut self, amount: u64) {
        self.spent = self.spent.saturating_sub(signed(amount));
    }

    /// Shares the limit by this link from now on. The amount spent stays known.
    pub(in crate::limits) fn share_by(&mut self, sharing: &Arc<Sharing>) {
        if !Arc::ptr_eq(&self.sharing, sharing) {
            self.sharing = Arc::clone(sharing);
        }
    }

    /// Refuses nothing until the next grant.
    pub(in crate::limits) fn suspend(&mut self) {
        (self.granted, self.next, self.last) = (None, None, LastGrant::default());
    }

    /// Begins a window, or a recount.
    pub(in crate::limits) fn renew(&mut self, size: u64) {
        let next = self.next.take();
        self.granted = self.granted.map(|_| next.unwrap_or_else(|| signed(self.sharing.part_of(size))));
        (self.epoch, self.spent, self.refused) = (self.epoch.wrapping_add(1), 0, 0);
        (self.last, self.unmet) = (LastGrant::default(), 0);
        self.recent.restart();
        self.sharing.call();
    }

    fn room(&self) -> i64 {
        self.granted.map_or(0, |granted| granted.saturating_sub(self.spent).max(0))
    }

    // === the conversation with a store ===

    /// Returns the demand of this moment, if there is anything to say. Keeps no more than the demand says.
    pub(in crate::limits) fn demand(
        &mut self,
        limit: LimitShape,
        others: Others,
        now: Moment,
    ) -> Option<Demand> {
        let recent = self.recent.look(self.spent, now).ceil() as u64;
        if others == Others::Hungry {
            self.modest_until = now.as_unix_us().saturating_add(MODEST_US);
        }
        let target = self.target(limit, recent, others, now);
        let is_soon = self.unmet > 0 || self.last.free >= self.sharing.instances();
        let repeat = if is_soon { REPEAT_SOON_US } else { REPEAT_US };
        let is_time = now.as_unix_us().saturating_sub(self.last.at) > repeat;
        let (room, mut refused) = (self.room().cast_unsigned(), std::mem::take(&mut self.refused));
        if refused == 0 && is_time {
            // The request may still wait, and others may have given something back.
            refused = self.unmet;
        }
        let slack = if others == Others::Content { target / 2 + 1 } else { 0 };
        // An amount that is too small for the request that waits is of no use here, perhaps elsewhere.
        let is_useless = self.unmet > 0 && refused > room;
        let kept = if is_useless {
            0
        } else if room > target + slack {
            target
        } else {
            room
        };
        let lacks = (target > 0 && room <= target / 2) || refused > 0;
        // An instance that has become idle says so, in case it is killed.
        let is_news = self.last.spent != Some(self.spent) || 2 * recent < self.last.recent;
        let is_due = is_time || others != Others::Content;
        if self.granted.is_some() && !is_news && !lacks && kept == room && !is_due {
            return None;
        }
        self.granted = self.granted.map(|_| self.spent.saturating_add(signed(kept)));
        self.low = signed(target / 2);
        let Self { serial, epoch, spent, .. } = *self;
        let recent = if others == Others::Left { 0 } else { recent };
        let (least, wanted) =
            if others == Others::Left { (0, 0) } else { (refused, target.max(kept).max(refused)) };
        Some(Demand { serial, epoch, is_next: false, spent, recent, kept, least, wanted })
    }

    /// Returns the amount that this instance should hold.
    fn target(&self, limit: LimitShape, recent: u64, others: Others, now: Moment) -> u64 {
        let equal = self.left(limit, now).div_ceil(self.sharing.instances());
        let reserve = match now.as_unix_us() < self.modest_until {
            true if recent == 0 => 0,
            true => equal / RESERVE,
            false => equal,
        };
        if others == Others::Left { 0 } else { reserve.max(2 * recent).min(limit.size) }
    }

    /// Returns the demand for the window after this one, unless it was granted.
    pub(in crate::limits) fn demand_next(&self, limit: LimitShape) -> Option<Demand> {
        let Self { serial, epoch, .. } = *self;
        let wanted = limit.size.div_ceil(self.sharing.instances());
        let demand = Demand { serial, epoch, is_next: true, spent: 0, recent: 0, kept: 0, least: 0, wanted };
        (self.granted.is_some() && self.next.is_none()).then_some(demand)
    }

    /// Takes over a grant. Returns whether there is more room than before.
    pub(in crate::limits) fn grant(&mut self, demand: &Demand, grant: Grant, now: Moment) -> bool {
        let Grant { held, left, free } = grant;
        let epoch = demand.epoch.wrapping_add(demand.is_next.into());
        if demand.is_next && demand.epoch == self.epoch {
            self.next = Some(signed(held));
            return false;
        }
        if demand.serial != self.serial || epoch != self.epoch {
            return false;
        }
        let before = self.room();
        self.granted = Some(demand.spent.saturating_add(signed(held)));
        self.last =
            LastGrant { at: now.as_unix_us(), spent: Some(demand.spent), recent: demand.recent, left, free };
        self.unmet = if held < demand.least { demand.least } else { 0 };
        self.alone_since = None;
        self.room() > before
    }

    /// Grants an equal part of what the other instances do not hold, because the store is away: once, and of a
    /// bucket also of what comes back meanwhile. Returns whether there is more room than before.
    pub(in crate::limits) fn go_alone(&mut self, limit: LimitShape, now: Moment) -> bool {
        let (room, instances, now) = (self.room(), self.sharing.instances(), now.as_unix_us());
        let Some(granted) = self.granted else { return false };
        let more = match self.alone_since {
            None => self.last.free / instances,
            Some(_) if limit.interval <= 0.0 => 0,
            Some(since) => (now.saturating_sub(since) as f64 / (limit.interval * instances as f64)) as u64,
        };
        if self.alone_since.is_none() || more > 0 {
            self.alone_since = Some(now);
        }
        let most = signed((limit.size / instances).max(1)).max(room);
        let room = room.saturating_add(signed(more)).min(most);
        let granted_now = if more > 0 { self.spent.saturating_add(room) } else { granted };
        self.granted = Some(granted_now);
        granted_now > granted
    }

    /// Returns the amount that no instance has spent, as far as this one knows.
    fn left(&self, limit: LimitShape, now: Moment) -> u64 {
        let LastGrant { at, spent, left, .. } = self.last;
        let Some(spent) = spent else { return limit.size };
        let passed = now.as_unix_us().saturating_sub(at) as f64;
        let back = if limit.interval > 0.0 { (passed / limit.interval) as u64 } else { 0 };
        let spent_since = self.spent.saturating_sub(spent).max(0).cast_unsigned();
        left.saturating_add(back).min(limit.size).saturating_sub(spent_since)
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
