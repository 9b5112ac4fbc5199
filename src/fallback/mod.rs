//! Falling back across providers.

#![allow(dead_code, reason = "the layer above is what uses it")]

mod breaker;
mod rename;
mod route;

pub use self::breaker::BreakerPolicy;
pub use self::route::{InvalidRoute, Route, Unroutable};
