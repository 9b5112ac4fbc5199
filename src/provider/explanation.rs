//! Explanations: the step of the classification that decided.

use std::fmt;

use crate::classify::{Verdict, Why, rules};

/// A verdict with the step of the classification that decided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// The step that decided.
    pub by: DecidedBy,
}

/// The step of a classification that decided, as text for people.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DecidedBy {
    /// A proxy or CDN in front of the provider responded.
    Edge,
    /// The meaning of the names and sentences; [`Fault::why`](crate::classify::Fault::why) of the verdict says
    /// which, if it is a fault.
    Meaning(Option<Why>),
    /// There was no response.
    NoResponse,
    /// The numbers of the message: a limit of zero, or one that the request itself exceeds.
    Numbers,
    /// A [rule of the operator](crate::Provider::rule), by its index.
    OwnRule(u16),
    /// Code for this provider that no table can express.
    Provider,
    /// A row of the provider's table.
    Row(TableRow),
    /// The response is a success, and nothing in it is an error.
    Served,
    /// A row of the table for all providers.
    SharedRow(TableRow),
    /// The status alone.
    Status,
    /// The event of a stream that broke off or is malformed.
    Stream,
    /// The stated wait is an hour or more, which no rate limit takes.
    Wait,
}

/// A row of a table of rules that is built in. Displayed with its conditions.
#[derive(Clone, Copy)]
pub struct TableRow(pub(super) &'static rules::Rule);

// === impl DecidedBy ===

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str("a proxy or CDN in front of the provider"),
            Self::Meaning(Some(why)) => write!(f, "meaning, {why}"),
            Self::Meaning(None) => f.write_str("meaning"),
            Self::NoResponse => f.write_str("no response"),
            Self::Numbers => f.write_str("numbers of the message"),
            Self::OwnRule(index) => write!(f, "rule[{index}]"),
            Self::Provider => f.write_str("code for this provider"),
            Self::Row(row) => write!(f, "row of the provider's table, {row}"),
            Self::Served => f.write_str("no error in a success"),
            Self::SharedRow(row) => write!(f, "row for all providers, {row}"),
            Self::Status => f.write_str("status"),
            Self::Stream => f.write_str("broken stream"),
            Self::Wait => f.write_str("stated wait of an hour or more"),
        }
    }
}

// === impl TableRow ===

impl fmt::Display for TableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableRow({self})")
    }
}
