//! Lists within error messages.

use std::fmt;

/// The variables that were searched for keys, and what is wrong with those that were found.
pub(super) struct Searched<'a>(pub(super) &'a [String], pub(super) &'a [String]);

/// The accounts that keys belong to.
pub(super) struct Known<'a>(pub(super) &'a [String]);

// === impl Searched ===

impl fmt::Display for Searched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self([], _) => f.write_str(": add a [[provider.key]], or `keys_env`"),
            Self(searched, []) => {
                write!(f, ": set one of {}, or add a [[provider.key]]", searched.join(", "))
            }
            Self(searched, faults) => {
                write!(f, ": {}. Searched: {}", faults.join("; "), searched.join(", "))
            }
        }
    }
}

// === impl Known ===

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("set the `account` of a [[provider.key]]");
        }
        write!(f, "the known accounts are {}", self.0.join(", "))
    }
}
