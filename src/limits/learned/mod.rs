//! Limits that the headers of responses tell of.

pub(in crate::limits) mod latest;
pub(in crate::limits) mod learn;
pub(in crate::limits) mod margin;
