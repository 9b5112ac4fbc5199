//! Standing: the evidence in a key's favour when it is refused.
//!
//! A refusal can be the fault of the key or of the request. A key that served other requests within the last
//! [`GRACE`] is *proven*: one request's refusal says little against it. Any other key has the same grace
//! period after its first unconfirmed refusal. Within that period, another refusal at the same endpoint is no
//! further evidence. A refusal at another endpoint is evidence against a key that has never served a request,
//! and so is any refusal after the period.
//!
//! A success writes one word of its key, at most once a millisecond. The same word holds the cadence of the
//! successes, which is evidence of the key's undeclared limits (see `search` of the limits). First refusals are rare. They are kept
//! beside the keys, at most one for each.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::limits::Cadence;
use crate::sync::{AtomicU64, Ordering};

/// Grace period: 60 s. A success counts for a key for this long, and refusals after an unconfirmed first one
/// do not count for this long.
const GRACE: Duration = Duration::from_secs(60);
const GRACE_MS: u64 = GRACE.as_millis() as u64;

/// The time at which a key last served a request, and the cadence of its requests; zero means never.
///
/// From the lowest bit: the shortest recent distance of two served requests (zero for none), the time that the
/// latest response took, both in [`SPAN_BITS`], and its arrival. All times are in milliseconds, and the
/// arrival counts from the Unix epoch.
#[derive(Default)]
pub(in crate::pool) struct LastSuccess(AtomicU64);

/// Bits of a distance or a response time. Longer ones count as the maximum, about two seconds.
const SPAN_BITS: u32 = 11;
const LONGEST_SPAN: u64 = (1 << SPAN_BITS) - 1;

/// Time for which the cadence counts: one second.
const CADENCE_MS: u64 = 1_000;

/// The first refusal of each key that names no reason in its account. A refusal from before the key's last success
/// does not count against the key.
#[derive(Debug, Default)]
pub(in crate::pool) struct FirstRefusals(HashMap<usize, FirstRefusal>);

#[derive(Clone, Debug)]
struct FirstRefusal {
    /// The time of the refusal, in milliseconds since the Unix epoch.
    at: u64,
    /// The hash of the endpoint.
    endpoint: u64,
    /// Whether another key has served the refused request.
    is_confirmed: bool,
}

// === impl LastSuccess ===

impl LastSuccess {
    /// Records that the key has served a request that was sent at `sent`.
    pub(in crate::pool) fn set(&self, sent: u64, now: u64) {
        // Requests share milliseconds, and a word that is rarely written is cheap to read.
        let before = self.0.load(Ordering::Relaxed);
        if at(before) < now {
            let word = (now << SPAN_BITS | span(now, sent)) << SPAN_BITS | next_distance(before, sent, now);
            self.0.fetch_max(word, Ordering::Relaxed);
        }
    }

    /// Returns the cadence of the requests that the key has served, if it has served one within the last
    /// second before `now`. Its times have a precision of a millisecond, so they are given with the
    /// microseconds of `sent`, which they are compared with.
    pub(in crate::pool) fn cadence(&self, sent: Moment, now: u64) -> Cadence {
        let word = self.0.load(Ordering::Relaxed);
        if now.saturating_sub(at(word)) > CADENCE_MS {
            return Cadence::default();
        }
        let latest = sent.in_ms(sent_at(word));
        let apart = Some(word & LONGEST_SPAN).filter(|apart| *apart > 0);
        Cadence { latest: Some(latest), apart: apart.map(|apart| apart * 1_000) }
    }

    /// Returns whether the key served a request within the last 60 s.
    pub(in crate::pool) fn is_recent(&self, now: u64) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word != 0 && now.saturating_sub(at(word)) <= GRACE_MS
    }

    /// Returns whether the key has served a request after `time`.
    pub(in crate::pool) fn is_after(&self, time: u64) -> bool {
        self.time() > time
    }

    /// Returns the time at which the key last served a request, in milliseconds since the Unix epoch; zero means never.
    pub(in crate::pool) fn time(&self) -> u64 {
        at(self.0.load(Ordering::Relaxed))
    }

    /// Returns whether the key has served no request since the refusal.
    fn counts(&self, first: &FirstRefusal) -> bool {
        !self.is_after(first.at)
    }
}

/// Returns the arrival of the response.
const fn at(word: u64) -> u64 {
    word >> (2 * SPAN_BITS)
}

const fn sent_at(word: u64) -> u64 {
    at(word).saturating_sub(word >> SPAN_BITS & LONGEST_SPAN)
}

/// Returns the shortest recent distance of two served requests, the latest of which was sent at `sent`.
fn next_distance(before: u64, sent: u64, now: u64) -> u64 {
    if now.saturating_sub(at(before)) > CADENCE_MS {
        return 0;
    }
    let distances = [before & LONGEST_SPAN, span(sent, sent_at(before))];
    distances.into_iter().filter(|distance| *distance > 0).min().unwrap_or(0)
}

/// Returns the time between two moments, up to the maximum.
fn span(one: u64, other: u64) -> u64 {
    one.abs_diff(other).min(LONGEST_SPAN)
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

    /// Records an unconfirmed refusal of the key. Returns the endpoint of its first one.
    pub(in crate::pool) fn note(&mut self, key: usize, served: &LastSuccess, endpoint: u64, at: u64) -> u64 {
        match self.0.get(&key).filter(|first| served.counts(first)) {
            Some(first) => first.endpoint,
            None => {
                self.0.insert(key, FirstRefusal { at, endpoint, is_confirmed: false });
                endpoint
            }
        }
    }

    /// Records a refusal of the key for a request that another key has served.
    pub(in crate::pool) fn confirm(&mut self, key: usize, served: &LastSuccess, endpoint: u64, at: u64) {
        self.note(key, served, endpoint, at);
        let first = self.0.get_mut(&key).filter(|first| first.endpoint == endpoint);
        first.into_iter().for_each(|first| first.is_confirmed = true);
    }

    /// Returns whether it is known that this endpoint refuses the key, which others accept: it has served a request
    /// since another key served one that it was refused here, and has done so within the last 60 s.
    pub(in crate::pool) fn is_known(
        &self,
        key: usize,
        served: &LastSuccess,
        endpoint: u64,
        now: u64,
    ) -> bool {
        let first = self.0.get(&key).filter(|first| first.is_confirmed && first.endpoint == endpoint);
        first.is_some_and(|first| served.is_after(first.at) && served.is_recent(now))
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
        served.set(START + GRACE_MS, START + GRACE_MS);
        assert!(served.is_recent(START + 2 * GRACE_MS) && served.is_after(START));
        assert!(!served.is_recent(START + 2 * GRACE_MS + 1));
        let later = START + 10 * GRACE_MS;
        assert!(refusals.is_in_grace(0, &served, CHAT, later), "nothing is held against it");
        refusals.note(0, &served, CHAT, later);
        assert!(refusals.is_in_grace(0, &served, FILES, later + GRACE_MS), "it has served before");
        assert!(!refusals.is_in_grace(0, &served, FILES, later + GRACE_MS + 1));
    }
}
