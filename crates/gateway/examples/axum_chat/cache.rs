//! A cache of whole replies, in front of the providers: a reply that it has costs no request.

use std::time::Duration;

use moka::future::Cache;

use crate::chat::{ChatRequest, Reply};

pub(crate) type Replies = Cache<ChatRequest, Reply>;

/// Returns an empty cache, for at most 1,000 replies, each for ten minutes.
pub(crate) fn replies() -> Replies {
    Cache::builder().max_capacity(1000).time_to_live(Duration::from_secs(600)).build()
}
