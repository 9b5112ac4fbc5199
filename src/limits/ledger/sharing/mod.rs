//! Limits that several instances share: the part of each, and the conversation with the store that grants it.

pub(in crate::limits) mod allotment;
pub(in crate::limits) mod demand;
pub(in crate::limits) mod link;
#[cfg(test)]
mod tests;
