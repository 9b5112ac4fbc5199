//! The state of a scope, packed into one number. See `slot` for the rules.

/// The end of a cooldown that lasts until the key is replaced or reset. Later than every other time.
pub(crate) const FOREVER: u64 = (1 << UNTIL_BITS) - 1;

/// Bits of a time in milliseconds since the Unix epoch. They suffice until 15 May 2109; see
/// [`clock`](crate::clock) for later times.
const UNTIL_BITS: u32 = 42;
const CAUSE_BITS: u32 = 3;
const STRIKE_BITS: u32 = 5;
const EPOCH_BITS: u32 = 13;

/// The cause of a cooldown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    RateLimited = 1,
    QuotaExceeded = 2,
    Invalid = 3,
    Forbidden = 4,
    /// A short wait for a limit that a ledger paces. No probe is needed afterwards.
    Paced = 5,
    /// A rate limit whose wait the pool has guessed. A probe follows, but it counts as no failure in a row.
    Guessed = 6,
    /// A cooldown that an operator has ordered.
    Forced = 7,
}

/// The state of a scope, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The end of the cooldown, in milliseconds since the Unix epoch; zero if there is none.
    pub(crate) until: u64,
    /// The cause of the cooldown; `None` for a scope that is not in a cooldown.
    pub(crate) cause: Option<Cause>,
    /// Whether one lease is in flight to find out if the scope has recovered.
    pub(crate) probing: bool,
    /// Number of cooldowns in a row, for the backoff.
    pub(crate) strikes: u8,
    /// Counter of the changes of regime; wraps.
    pub(crate) epoch: u16,
}

/// The permit of a lease for one scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permit {
    pub(crate) epoch: u16,
    pub(crate) probe: bool,
    /// Whether the lease has a place in the slow start after a recovery.
    pub(crate) ramp: bool,
}

// === impl Permit ===

impl Permit {
    /// Returns whether the permit may keep other requests out: as a probe, or in a slow start.
    pub(crate) const fn is_exclusive(self) -> bool {
        self.probe || self.ramp
    }

    /// Returns the permit of the same lease once it keeps no other request out.
    pub(crate) const fn without_probe(self) -> Self {
        Self { epoch: self.epoch, probe: false, ramp: false }
    }
}

// === impl State ===

impl State {
    /// Returns whether the scope is in a cooldown at `now`, or has a probe in flight.
    pub(crate) const fn is_closed(self, now: u64) -> bool {
        self.cause.is_some() && (self.until > now || self.probing)
    }

    /// Returns whether the scope was put into a cooldown by a refusal that concerns keys, and not by a limit.
    pub(crate) const fn is_of_refusal(self) -> bool {
        matches!(self.cause, Some(Cause::Invalid | Cause::QuotaExceeded | Cause::Forbidden))
    }

    /// Returns the state after a failure. `until` returns the end of the cooldown, given the failures in a
    /// row before it.
    pub(in crate::pool) fn cooldown(
        self,
        permit: Permit,
        cause: Cause,
        now: u64,
        until: impl Fn(u8) -> u64,
    ) -> Self {
        let news = self.epoch == permit.epoch;
        if !news && self.cause.is_none() {
            // The scope was freed since this lease began, on newer evidence: an old report starts no
            // cooldown.
            return self;
        }
        // A late report describes a failure that was counted already.
        let earlier = if news { self.strikes } else { self.strikes.saturating_sub(1) };
        let until = until(earlier).min(FOREVER);
        let longer = self.cause.is_none() || until > self.until;
        let cooldown = if longer { self.lengthened(until, cause, now) } else { self };
        if !news {
            return cooldown;
        }
        let more = u8::from(!matches!(cause, Cause::Paced | Cause::Guessed));
        let strikes = (self.strikes + more).min(MAX_STRIKES);
        Self { probing: false, strikes, epoch: next(self.epoch), ..cooldown }
    }

    /// Returns the cooldown with a later end. An operator's order that lasts at `now` is then lengthened by a limit,
    /// because a limit would permit early attempts.
    pub(in crate::pool) const fn lengthened(self, until: u64, cause: Cause, now: u64) -> Self {
        let is_limit = matches!(cause, Cause::RateLimited | Cause::Guessed | Cause::Paced);
        let cause = match self.cause {
            Some(Cause::Forced) if is_limit && self.until > now => Cause::Forced,
            _ => cause,
        };
        Self { until, cause: Some(cause), ..self }
    }

    /// Returns the cooldown of an operator's order of the time `since`, which lasts until at least `until`.
    pub(in crate::pool) fn forced(self, until: u64, since: u64) -> Self {
        let is_known = self.cause == Some(Cause::Forced) && self.until >= until;
        if self.until == FOREVER || is_known {
            return self;
        }
        let is_lasting = matches!(self.cause, Some(Cause::QuotaExceeded | Cause::Forbidden));
        let stays = self.cause.is_some() && self.until > until && (is_lasting || until <= since);
        let cause = if stays { self.cause } else { Some(Cause::Forced) };
        Self { until: self.until.max(until), cause, probing: false, epoch: next(self.epoch), ..self }
    }

    pub(in crate::pool) const fn cleared(self) -> Self {
        Self { until: 0, cause: None, probing: false, strikes: 0, epoch: next(self.epoch) }
    }

    // From the lowest bit: `until`, `cause`, `probing` (one bit), `strikes`, `epoch`: 64 bits in all.
    pub(in crate::pool) const fn pack(self) -> u64 {
        let cause = match self.cause {
            Some(cause) => cause as u64,
            None => 0,
        };
        let mut word = self.until;
        word |= cause << UNTIL_BITS;
        word |= (self.probing as u64) << (UNTIL_BITS + CAUSE_BITS);
        word |= (self.strikes as u64) << (UNTIL_BITS + CAUSE_BITS + 1);
        word | (self.epoch as u64) << (64 - EPOCH_BITS)
    }

    pub(in crate::pool) const fn unpack(word: u64) -> Self {
        let cause = match (word >> UNTIL_BITS) & ((1 << CAUSE_BITS) - 1) {
            1 => Some(Cause::RateLimited),
            2 => Some(Cause::QuotaExceeded),
            3 => Some(Cause::Invalid),
            4 => Some(Cause::Forbidden),
            5 => Some(Cause::Paced),
            6 => Some(Cause::Guessed),
            7 => Some(Cause::Forced),
            _ => None,
        };
        Self {
            until: word & FOREVER,
            cause,
            probing: (word >> (UNTIL_BITS + CAUSE_BITS)) & 1 == 1,
            strikes: ((word >> (UNTIL_BITS + CAUSE_BITS + 1)) & MAX_STRIKES as u64) as u8,
            epoch: (word >> (64 - EPOCH_BITS)) as u16,
        }
    }
}

const MAX_STRIKES: u8 = (1 << STRIKE_BITS) - 1;

pub(in crate::pool) const fn next(epoch: u16) -> u16 {
    (epoch + 1) & ((1 << EPOCH_BITS) - 1)
}

pub(in crate::pool) const fn previous(epoch: u16) -> u16 {
    epoch.wrapping_sub(1) & ((1 << EPOCH_BITS) - 1)
}
