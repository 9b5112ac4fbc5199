//! Standing: the evidence in a key's favour when it is refused.
//!
//! A refusal can be the fault of the key or of the request. A key that served other requests within the last
//! [`GRACE`] is *proven*: one request's refusal says little against it. Any other key has the same grace
//! period after its first unconfirmed refusal. Within that period, another refusal at the same endpoint is no
//! further evidence. A refusal at another endpoint is evidence against a key that has never served a request,
//! and so is any refusal after the period.
//!
//! A success writes one word of its key, at most once a millisecond. First refusals are rare. They are kept
//! beside the keys, at most one for each.

use std::collections::HashMap;
use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// Grace period: 60 s. A success counts for a key for this long, and refusals after an unconfirmed first one
/// do not count for this long.
const GRACE: Duration = Duration::from_secs(60);
const GRACE_MS: u64 = GRACE.as_millis() as u64;

/// The time at which a key last served a request, in milliseconds since the Unix epoch; zero means never.
#[derive(Default)]
pub(in crate::pool) struct LastSuccess(AtomicU64);

/// The first unconfirmed refusal of each key. A refusal from before the key's last success does not count.
#[derive(Debug, Default)]
pub(in crate::pool) struct FirstRefusals(HashMap<usize, FirstRefusal>);

#[derive(Clone, Copy, Debug)]
struct FirstRefusal {
    /// The time of the refusal, in milliseconds since the Unix epoch.
    at: u64,
    /// The hash of the endpoint.
    endpoint: u64,
    /// Whether another endpoint has refused the key since.
    elsewhere: bool,
}

// === impl LastSuccess ===

impl LastSuccess {
    /// Records that the key has served a request.
    pub(in crate::pool) fn set(&self, now: u64) {
        // Requests share milliseconds, and a word that is rarely written is cheap to read.
        if self.0.load(Ordering::Relaxed) < now {
            self.0.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Returns whether the key served a request within the last 60 s.
    pub(in crate::pool) fn is_recent(&self, now: u64) -> bool {
        let served = self.0.load(Ordering::Relaxed);
        served != 0 && now.saturating_sub(served) <= GRACE_MS
    }

    /// Returns whether the key has served a request after `at`.
    pub(in crate::pool) fn is_after(&self, at: u64) -> bool {
        self.0.load(Ordering::Relaxed) > at
    }

    /// Returns whether the key has served no request since the refusal.
    fn counts(&self, first: &FirstRefusal) -> bool {
        self.0.load(Ordering::Relaxed) < first.at
    }
}

// === impl FirstRefusals ===

impl FirstRefusals {
    /// Returns whether a refusal at an endpoint says nothing against the key by itself.
    pub(in crate::pool) fn is_in_grace(
        &self,
        key: usize,
        served: &LastSuccess,
        endpoint: u64,
        now: u64,
    ) -> bool {
        let Some(first) = self.0.get(&key).filter(|first| !served.is_recent(now) && served.counts(first))
        else {
            return true;
        };
        let is_alike = served.is_after(0) || first.endpoint == endpoint;
        is_alike && now.saturating_sub(first.at) <= GRACE_MS
    }

    /// Records an unconfirmed refusal of the key.
    pub(in crate::pool) fn note(&mut self, key: usize, served: &LastSuccess, endpoint: u64, at: u64) {
        match self.0.get_mut(&key).filter(|first| served.counts(first)) {
            Some(first) => first.elsewhere |= first.endpoint != endpoint,
            None => drop(self.0.insert(key, FirstRefusal { at, endpoint, elsewhere: false })),
        }
    }

    /// Returns whether the key has an unconfirmed refusal, but not at this endpoint, and at no more than one
    /// other.
    pub(in crate::pool) fn is_only_elsewhere(&self, key: usize, served: &LastSuccess, endpoint: u64) -> bool {
        let first = self.0.get(&key).filter(|first| served.counts(first));
        first.is_some_and(|first| !first.elsewhere && first.endpoint != endpoint)
    }

    pub(in crate::pool) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the refusal of a key.
    pub(in crate::pool) fn forget(&mut self, key: usize) {
        self.0.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: u64 = 1;
    const FILES: u64 = 2;
    const START: u64 = 1_000_000;

    #[test]
    fn a_fresh_key_has_a_minute_at_one_endpoint() {
        let (mut refusals, served) = (FirstRefusals::default(), LastSuccess::default());
        assert!(refusals.is_in_grace(0, &served, CHAT, START) && !served.is_recent(START));
        refusals.note(0, &served, CHAT, START);
        refusals.note(0, &served, FILES, START + 1);
        assert!(refusals.is_in_grace(0, &served, CHAT, START + GRACE_MS));
        assert!(!refusals.is_in_grace(0, &served, CHAT, START + GRACE_MS + 1));
        assert!(!refusals.is_in_grace(0, &served, FILES, START + 1), "two endpoints are two witnesses");
        assert!(refusals.is_in_grace(1, &served, FILES, START + 1), "of another key");
        refusals.forget(0);
        assert!(refusals.is_in_grace(0, &served, FILES, START + 1));
    }

    #[test]
    fn a_success_clears_refusals_and_counts_for_a_minute() {
        let (mut refusals, served) = (FirstRefusals::default(), LastSuccess::default());
        refusals.note(0, &served, CHAT, START);
        served.set(START + GRACE_MS);
        assert!(served.is_recent(START + 2 * GRACE_MS) && served.is_after(START));
        assert!(!served.is_recent(START + 2 * GRACE_MS + 1));
        let later = START + 10 * GRACE_MS;
        assert!(refusals.is_in_grace(0, &served, CHAT, later), "nothing is held against it");
        refusals.note(0, &served, CHAT, later);
        assert!(refusals.is_in_grace(0, &served, FILES, later + GRACE_MS), "it has served before");
        assert!(!refusals.is_in_grace(0, &served, FILES, later + GRACE_MS + 1));
    }
}
