//! Fingerprints of the account that a response was counted for.
//!
//! Some providers name the account in a header of every response. Only equality matters, so a fingerprint is
//! kept and not the name.
//!
//! A provider that counts limits within a part of an organisation (a project, a workspace) names that part
//! too, but not in every response. The first header names the organisation, the others narrow it down, and a
//! response without them contradicts no known account of the organisation.

use std::num::NonZeroU64;

use http::{HeaderMap, HeaderName};

/// A fingerprint of the account that a response was counted for: a hash of its names. Only comparable within
/// one process and one provider.
///
/// The upper half is the hash of the organisation. The lowest bit is set if the part of the organisation is
/// known too; the hash of the part then fills the lower half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountFingerprint(NonZeroU64);

const PART: u64 = 1;
const ORGANISATION: u64 = !0 << 32;

// === impl AccountFingerprint ===

impl AccountFingerprint {
    /// Computes the fingerprint from the values of these headers; `None` without the first of them.
    pub(super) fn find(names: &[HeaderName], headers: &HeaderMap) -> Option<Self> {
        let (organisation, parts) = names.split_first()?;
        // Most responses have few headers, which are walked faster than the name is hashed.
        let (_, organisation) = headers.iter().find(|(name, _)| *name == organisation)?;
        let organisation = mixed(0, organisation.as_bytes());
        let (mut hash, mut narrowed) = (organisation, false);
        for (number, part) in parts.iter().enumerate() {
            if let Some(value) = headers.get(part) {
                hash = mixed(hash ^ number as u64, value.as_bytes());
                narrowed = true;
            }
        }
        let whole = if narrowed {
            (organisation & ORGANISATION) | (hash & !ORGANISATION) | PART
        } else {
            organisation & !PART
        };
        NonZeroU64::new(whole).map(Self)
    }

    /// Creates the fingerprint that [`as_u64`](Self::as_u64) returned, perhaps in another process.
    pub(crate) fn from_u64(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0.get()
    }

    /// Returns whether the account with the fingerprint `known` may be this one. A fingerprint without a part
    /// agrees with every part of its organisation.
    pub(crate) const fn agrees_with(self, known: u64) -> bool {
        let shown = self.0.get();
        shown == known || (shown & PART == 0 && known & PART == PART && (shown ^ known) & ORGANISATION == 0)
    }
}

/// Hashes eight bytes at a time, because this runs for every response. It need not resist attacks, since
/// nothing is gained by finding two names that collide.
fn mixed(seed: u64, bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let hash = (hash.rotate_left(23) ^ word).wrapping_mul(ODD);
        hash ^ (hash >> 32)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let last = rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    let hash = words.iter().fold(!seed, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(mix(hash, last), bytes.len() as u64)
}

/// 2^64 divided by the golden ratio, rounded to an odd number.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NAMES: [HeaderName; 2] = [HeaderName::from_static("x-org"), HeaderName::from_static("x-project")];

    fn found(org: Option<&'static str>, project: Option<&'static str>) -> Option<AccountFingerprint> {
        let mut headers = HeaderMap::new();
        for (name, value) in NAMES.iter().zip([org, project]) {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        AccountFingerprint::find(&NAMES, &headers)
    }

    #[test]
    fn organisation_and_project_name_an_account_together() {
        let whole = found(Some("acme"), Some("p1")).unwrap();
        assert_eq!(found(Some("acme"), Some("p1")), Some(whole));
        assert_ne!(found(Some("acme"), Some("p2")), Some(whole));
        assert_ne!(found(Some("other"), Some("p1")), Some(whole));
        assert_eq!(found(None, Some("p1")), None);
        assert_eq!(AccountFingerprint::find(&[], &HeaderMap::new()), None);
    }

    #[test]
    fn names_that_differ_little_have_fingerprints_that_differ() {
        let mut seen = std::collections::HashSet::new();
        for n in 0..100_000_u32 {
            seen.insert(mixed(0, format!("org-{n}").as_bytes()) >> 32);
            seen.insert(mixed(0, &vec![0; n as usize % 2_000 + 1]) >> 32);
        }
        // 102,000 random values of 32 bits have about one collision.
        assert!(seen.len() >= 102_000 - 8, "{}", seen.len());
    }

    #[test]
    fn an_answer_that_says_less_contradicts_nobody() {
        let (whole, half) = (found(Some("acme"), Some("p1")).unwrap(), found(Some("acme"), None).unwrap());
        assert!(half.agrees_with(whole.as_u64()));
        assert!(half.agrees_with(half.as_u64()));
        assert!(!whole.agrees_with(half.as_u64()), "it says more");
        assert!(!found(Some("other"), None).unwrap().agrees_with(whole.as_u64()));
        assert!(!half.agrees_with(0));
    }
}
