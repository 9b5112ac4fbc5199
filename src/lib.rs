//! Key rotation for LLM providers as tower middleware.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod body;
pub mod classify;
pub mod clock;
mod event;
pub mod key;
pub mod pool;
pub mod provider;
mod sync;

pub use self::key::ApiKey;
pub use self::pool::KeyPool;
pub use self::provider::Provider;
