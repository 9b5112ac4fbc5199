//! Key rotation for LLM providers as tower middleware.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod body;
pub mod classify;
pub mod clock;
pub mod provider;

pub use self::provider::Provider;
