//! Evidence: the meanings that an error response can have, and the reason why a verdict was reached.

use std::fmt;

use serde::{Serialize, Serializer};

/// A meaning that the names and sentences of an error response can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// The account may not use this for a stated reason: it is not activated or not in the plan, a
    /// verification is missing, or terms are not accepted.
    Access,
    /// The country or the address of the client is refused.
    Address,
    /// The provider or the model has no capacity.
    Capacity,
    /// The key is invalid, expired, revoked or leaked, or its account is closed.
    Key,
    /// Money is missing: a balance, credits, a bill, a spending limit.
    Money,
    /// The allowance of a plan is used up, or of an hour, a day, a week or a month.
    Plan,
    /// Too many requests or tokens in a short time.
    Rate,
    /// The request itself is at fault: malformed, too long, refused by a content policy, or for something that
    /// does not exist.
    Request,
    /// A provider behind the provider failed, for which no key of the caller is to blame.
    Upstream,
}

/// The reason for a verdict, as shown in logs: the step of the classification that decided, and the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// A proxy or CDN in front of the provider responded.
    Edge,
    /// A code, a type or a reason of the error has this meaning.
    Name(Evidence),
    /// The numbers of the message: a limit of zero, or one that the request itself exceeds.
    Numbers,
    /// A rule that the operator [gave the provider](crate::Provider::rule), by its index in
    /// [`Provider::rules`](crate::Provider::rules).
    OwnRule(u16),
    /// A rule of the provider, or one for names that mean the same at every provider.
    Rule,
    /// A sentence of the message has this meaning.
    Sentence(Evidence),
    /// The status alone.
    Status,
    /// The stated wait is an hour or more, which no rate limit takes.
    Wait,
}

// === impl Evidence ===

impl Evidence {
    /// All kinds of evidence.
    pub const ALL: [Self; 9] = [
        Self::Access,
        Self::Address,
        Self::Capacity,
        Self::Key,
        Self::Money,
        Self::Plan,
        Self::Rate,
        Self::Request,
        Self::Upstream,
    ];

    /// Returns the name used in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Address => "address",
            Self::Capacity => "capacity",
            Self::Key => "key",
            Self::Money => "money",
            Self::Plan => "plan",
            Self::Rate => "rate",
            Self::Request => "request",
            Self::Upstream => "upstream",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Why ===

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str("edge"),
            Self::Name(evidence) => write!(f, "name: {evidence}"),
            Self::Numbers => f.write_str("numbers"),
            Self::OwnRule(index) => write!(f, "rule[{index}]"),
            Self::Rule => f.write_str("rule"),
            Self::Sentence(evidence) => write!(f, "sentence: {evidence}"),
            Self::Status => f.write_str("status"),
            Self::Wait => f.write_str("wait"),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
