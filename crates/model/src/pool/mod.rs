//! The place of the sources under test.

pub(crate) mod scope;
