//! Limits that the operator declares.

pub(in crate::limits) mod quota;
