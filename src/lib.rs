//! Key rotation for LLM providers as tower middleware.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod body;
pub mod classify;
pub mod clock;
mod error;
mod event;
pub mod guard;
pub mod key;
pub mod pool;
pub mod provider;
#[cfg(feature = "reqwest")]
pub mod reqwest;
pub mod respond;
pub mod rotate;
mod scrub;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;

pub use self::error::{AllKeysFailed, Error, GaveUp};
pub use self::key::ApiKey;
pub use self::pool::KeyPool;
pub use self::provider::Provider;
pub use self::respond::RespondLayer;
pub use self::rotate::{Attempt, Deadline, KeyRotationLayer, Served};
