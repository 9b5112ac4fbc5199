//! Falling back across providers.

#![allow(dead_code, reason = "the layer above is what uses it")]

mod rename;
mod route;

pub use self::route::{InvalidRoute, Route, Unroutable};
