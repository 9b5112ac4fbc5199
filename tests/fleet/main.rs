//! Several processes as one fleet: the orders of operators, and Redis in hard cases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod orders;
#[path = "../support/mod.rs"]
mod support;
