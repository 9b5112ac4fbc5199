//! Stores for the state of pools: a file, which survives a restart, and Redis, which several processes share.
//!
//! A store is a future that the program spawns. It exports the state of its pools and merges what others know
//! (see [`PoolState`](crate::pool::PoolState)). No request waits for it, and none fails because of it: a store
//! that does not work costs the sharing, and is reported by
//! [`EventKind::StoreFailed`](crate::event::EventKind::StoreFailed).
//!
//! No store ever holds a secret: keys are named by digests of their secrets.

#[cfg(feature = "file-store")]
mod file;
mod health;
mod pools;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "file-store")]
pub use self::file::FileStore;
#[cfg(feature = "file-store")]
pub use self::file::error::FileStoreError;
pub use self::pools::StorePools;
#[cfg(feature = "redis")]
pub use self::redis::status::RedisStatus;
#[cfg(feature = "redis")]
pub use self::redis::{InvalidRedis, RedisStore};
