//! Several processes as one fleet: the orders of operators, and Redis in hard cases.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

extern crate redis as redis_client;

mod hard;
mod news;
mod orders;
mod quotas;
#[path = "../support/redis.rs"]
mod redis;
mod servers;
mod several;
mod stage;
#[path = "../support/mod.rs"]
mod support;
