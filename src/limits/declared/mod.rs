//! Limits that the operator declares.

pub(in crate::limits) mod quota;
pub(in crate::limits) mod zone;
