//! What is known about a scope, as one number; see `slot` for the rules.

/// Later than every cooldown: until replaced or reset.
pub(crate) const FOREVER: u64 = (1 << UNTIL_BITS) - 1;

/// Enough for milliseconds since the Unix epoch until 15 May 2109; see [`clock`](crate::clock) for what comes then.
const UNTIL_BITS: u32 = 42;
const CAUSE_BITS: u32 = 3;
const STRIKE_BITS: u32 = 5;
const EPOCH_BITS: u32 = 13;

/// Why a scope is benched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    RateLimited = 1,
    QuotaExceeded = 2,
    Invalid = 3,
    Forbidden = 4,
    /// For a moment, by a limit that a ledger paces: what comes after needs no probe.
    Paced = 5,
}

/// The state of a scope, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// When the bench ends, in milliseconds since the Unix epoch; zero unless benched.
    pub(crate) until: u64,
    /// `None`: free.
    pub(crate) cause: Option<Cause>,
    /// One lease is out to see whether the scope has recovered.
    pub(crate) probing: bool,
    /// Benches in a row, for the back-off.
    pub(crate) strikes: u8,
    /// Raised by every change of regime; wraps.
    pub(crate) epoch: u16,
}

/// What a lease remembers of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) epoch: u16,
    pub(crate) probe: bool,
    /// It has a place on the ramp after a recovery.
    pub(crate) ramp: bool,
}

// === impl Pass ===

impl Pass {
    /// Whether others may be kept out by it: as a probe, or on a ramp.
    pub(crate) const fn is_narrow(self) -> bool {
        self.probe || self.ramp
    }

    /// The same lease, once it keeps nobody out any more.
    pub(crate) const fn without_probe(self) -> Self {
        Self { epoch: self.epoch, probe: false, ramp: false }
    }
}

// === impl State ===

impl State {
    /// Whether the scope is benched at `now`, or has a probe out.
    pub(crate) const fn is_closed(self, now: u64) -> bool {
        self.cause.is_some() && (self.until > now || self.probing)
    }

    /// `until` says when a bench ends, given the failures in a row before it.
    pub(super) fn benched(self, pass: Pass, cause: Cause, until: impl Fn(u8) -> u64) -> Self {
        let news = self.epoch == pass.epoch;
        if !news && self.cause.is_none() {
            // Cleared since this lease began, on newer evidence: an old report benches nobody.
            return self;
        }
        // A late report is of the failure that was counted already.
        let earlier = if news { self.strikes } else { self.strikes.saturating_sub(1) };
        let until = until(earlier).min(FOREVER);
        let longer = self.cause.is_none() || until > self.until;
        let benched = if longer { Self { until, cause: Some(cause), ..self } } else { self };
        if !news {
            return benched;
        }
        let more = u8::from(cause != Cause::Paced);
        let strikes = (self.strikes + more).min(MAX_STRIKES);
        Self { probing: false, strikes, epoch: next(self.epoch), ..benched }
    }

    pub(super) const fn cleared(self) -> Self {
        Self { until: 0, cause: None, probing: false, strikes: 0, epoch: next(self.epoch) }
    }

    pub(super) const fn pack(self) -> u64 {
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

    pub(super) const fn unpack(word: u64) -> Self {
        let cause = match (word >> UNTIL_BITS) & ((1 << CAUSE_BITS) - 1) {
            1 => Some(Cause::RateLimited),
            2 => Some(Cause::QuotaExceeded),
            3 => Some(Cause::Invalid),
            4 => Some(Cause::Forbidden),
            5 => Some(Cause::Paced),
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

pub(super) const fn next(epoch: u16) -> u16 {
    (epoch + 1) & ((1 << EPOCH_BITS) - 1)
}

pub(super) const fn previous(epoch: u16) -> u16 {
    epoch.wrapping_sub(1) & ((1 << EPOCH_BITS) - 1)
}
