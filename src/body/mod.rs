//! Bodies: what is sent again, what is looked at, what is passed on.

pub mod sse;
