//! Pools, faults and queries for the tests of the pool.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::time::Duration;

use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::{ApiKey, KeyId};
use tower_key_rotation::pool::{Exhausted, KeyPool, KeyPoolBuilder, KeySnapshot, Lease, UndoCooldown};
use tower_key_rotation::provider::{ModelId, Provider};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn key(name: &str) -> ApiKey {
    ApiKey::new(format!("sk-{name}")).unwrap().id(name)
}

pub(crate) fn builder() -> KeyPoolBuilder {
    KeyPool::builder(Provider::openai())
}

/// A pool of keys with these names, each an account of its own.
pub(crate) fn pool(names: &[&str]) -> KeyPool {
    builder().keys(names.iter().map(|name| key(name))).build().unwrap()
}

pub(crate) fn limit(wait: Duration) -> Fault {
    Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(wait)
}

pub(crate) fn unhinted() -> Fault {
    Fault::new(Reason::RateLimited, Scope::Key)
}

pub(crate) fn invalid() -> Fault {
    Fault::new(Reason::InvalidKey, Scope::Key)
}

pub(crate) fn model(name: &str) -> ModelId {
    ModelId::from(name)
}

pub(crate) fn lease(pool: &KeyPool) -> Lease {
    pool.acquire(None).unwrap()
}

/// Acquires the key with this name, which must be usable.
pub(crate) fn lease_of(pool: &KeyPool, name: &str, model: Option<&ModelId>) -> Lease {
    let tries = pool.snapshot().keys.len() * 2;
    (0..tries).find_map(|_| pool.acquire(model).ok().filter(|lease| lease.key_id().as_str() == name)).unwrap()
}

pub(crate) fn fail(pool: &KeyPool, name: &str, fault: &Fault) -> Option<UndoCooldown> {
    lease_of(pool, name, None).fail(fault, None)
}

/// Returns the name of the next key, which is dropped without success or failure.
pub(crate) fn next(pool: &KeyPool) -> String {
    lease(pool).key_id().to_string()
}

pub(crate) fn exhausted(pool: &KeyPool, model: Option<&ModelId>) -> Exhausted {
    pool.acquire(model).unwrap_err()
}

/// Returns the time until the first key becomes usable, if none is now.
pub(crate) fn wait(pool: &KeyPool) -> Option<Duration> {
    exhausted(pool, None).retry_after()
}

pub(crate) fn shown(pool: &KeyPool, name: &str) -> KeySnapshot {
    pool.snapshot().keys.into_iter().find(|key| key.id.as_str() == name).unwrap()
}

pub(crate) fn id(name: &str) -> KeyId {
    KeyId::from(name)
}
