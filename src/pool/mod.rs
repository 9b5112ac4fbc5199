//! A pool: the keys of one provider and their state.
//!
//! A client asks the pool for a [`Lease`]: the right to use one key for one attempt. It settles the lease
//! with the result of the attempt. A lease that is dropped unsettled, because the caller went away, blames no
//! key. The pool remembers the results: a key that was refused is in cooldown, and not offered before its
//! time. Then a single *probe* tries it, whose success makes it usable again.
//!
//! Every fault has a scope. A limit of one model puts a key into a cooldown for that model only. Keys of one
//! account go into a cooldown together, so that ten keys of one organisation cost one refusal and not ten.
//! The accounts are those that were declared, or those that the provider's responses show. Without either,
//! keys that are refused one after the other for the same limit are assumed to share it, until one of them is
//! served.
//!
//! # Cost of acquiring a key
//!
//! As long as a key is usable, acquiring inspects a few keys, whatever their number: the module source of
//! `model_state` describes the bitmap that finds them, and that of `slot` the atomic word that decides whether one
//! may be used. No lock is taken unless limits are known: each scope with limits has its own mutex, held for
//! a moment. A pool without a usable key looks at every key to compute the wait.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_key_rotation::classify::{Fault, Reason, Scope};
//! use tower_key_rotation::key::ApiKey;
//! use tower_key_rotation::pool::KeyPool;
//! use tower_key_rotation::Provider;
//!
//! let pool = KeyPool::builder(Provider::openai())
//!     .key(ApiKey::new("sk-one")?.id("one"))
//!     .key(ApiKey::new("sk-two")?.id("two"))
//!     .build()?;
//!
//! let lease = pool.acquire(())?;
//! assert_eq!(lease.key_id().as_str(), "one");
//! let fault = Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(Duration::from_secs(20));
//! lease.fail(&fault, None);
//!
//! assert_eq!(pool.acquire(())?.key_id().as_str(), "two");
//! assert_eq!(pool.acquire(())?.key_id().as_str(), "two");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acquire;
mod build;
mod checked;
mod key_pool;
mod keys;
mod learn;
mod lease;
mod operate;
#[cfg(feature = "redis")]
mod quota_sharing;
mod reload;
mod report;
mod scope;
mod share;
mod shared;
mod state;
#[cfg(feature = "redis")]
mod stored;
mod verbs;
mod wait;

pub use self::acquire::exhausted::Exhausted;
pub use self::acquire::request::AcquireRequest;
pub use self::build::builder::KeyPoolBuilder;
pub use self::build::error::BuildError;
pub(crate) use self::checked::CheckedKey;
pub use self::key_pool::KeyPool;
pub(crate) use self::key_pool::PoolId;
pub(crate) use self::keys::model::ModelUse;
pub(crate) use self::keys::probe_rounds::Rounds;
pub use self::keys::selection::Selection;
pub use self::keys::session::Session;
pub use self::keys::usage::{Consumption, UsageSnapshot};
pub(crate) use self::learn::provisional::ProvisionalCooldown;
pub use self::lease::Lease;
pub use self::lease::apply_key::ApplyKeyError;
pub use self::lease::undo::UndoCooldown;
pub(crate) use self::lease::usage_settlement::UsageSettlement;
#[cfg(feature = "redis")]
pub(crate) use self::quota_sharing::{LimitSharing, NamedDemand};
pub use self::reload::{Draining, KeyChanges, ReloadError};
pub use self::report::limits::{ModelLimits, ModelUsage};
pub use self::report::snapshot::{KeySnapshot, KeyState, ModelSnapshot, PoolSnapshot};
pub use self::scope::cooldown::{Backoff, Cooldowns};
pub use self::state::document::{OtherProvider, PoolState};
#[cfg(feature = "redis")]
pub(crate) use self::state::field::Field;
#[cfg(feature = "redis")]
pub(crate) use self::state::register::Register;
pub use self::verbs::UnknownKey;
