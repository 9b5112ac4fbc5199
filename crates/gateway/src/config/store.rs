//! The stores of the state of keys: `state_file`, and the `[redis]` table.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tower_key_rotation::store::{InvalidRedis, RedisStore};

use crate::config::error::{ConfigError, Problem};
use crate::config::file::RedisTable;
use crate::config::location::ValuePath;
use crate::config::secret::{Reference, Sources};

/// The stores of the state of keys.
#[derive(Clone, Debug, Default)]
pub struct StoreSettings {
    file: Option<PathBuf>,
    redis: Option<RedisSettings>,
}

/// The `[redis]` table.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    urls: Vec<SecretString>,
    sentinels: Vec<SecretString>,
    prefix: Option<String>,
    share_limits: bool,
}

// === impl StoreSettings ===

impl StoreSettings {
    /// Returns the file that keeps the state of keys across restarts.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the settings of the store that shares the state of keys by Redis. `None` without a `[redis]` table.
    pub const fn redis(&self) -> Option<&RedisSettings> {
        self.redis.as_ref()
    }

    pub(super) fn resolve(
        file: Option<String>,
        redis: Option<RedisTable>,
        sources: &Sources,
    ) -> Result<Self, ConfigError> {
        let redis = redis.map(|table| RedisSettings::resolve(table, sources)).transpose()?;
        Ok(Self { file: file.map(PathBuf::from), redis })
    }
}

// === impl RedisSettings ===

impl RedisSettings {
    /// Creates the store, without pools.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRedis`] if a URL is none of Redis. That of a configuration is valid.
    pub fn store(&self) -> Result<RedisStore, InvalidRedis> {
        let mut urls = self.urls.iter().map(|url| url.expose_secret().trim());
        let store = RedisStore::new(urls.next().unwrap_or_default())?;
        let store = urls.try_fold(store, RedisStore::or_at)?;
        let mut sentinels = self.sentinels.iter().map(|url| url.expose_secret().trim());
        let store = sentinels.try_fold(store, RedisStore::sentinel)?;
        let store = store.share_limits(self.share_limits);
        Ok(match &self.prefix {
            Some(prefix) => store.prefix(prefix.as_str()),
            None => store,
        })
    }

    fn resolve(table: RedisTable, sources: &Sources) -> Result<Self, ConfigError> {
        let at = ValuePath::default().field("redis");
        let (urls, sentinels) = (at.field("url"), at.field("sentinels"));
        let settings = Self {
            urls: resolved(&table.url.0, sources, &urls)?,
            sentinels: resolved(&table.sentinels, sources, &sentinels)?,
            prefix: table.prefix,
            share_limits: table.share_limits.unwrap_or(true),
        };
        match settings.store() {
            Ok(_valid) => Ok(settings),
            Err(error) => {
                let urls_are_valid = Self { sentinels: Vec::new(), ..settings }.store().is_ok();
                Err(Problem::Redis(error).at(if urls_are_valid { sentinels } else { urls }))
            }
        }
    }
}

impl PartialEq for RedisSettings {
    fn eq(&self, other: &Self) -> bool {
        let shown = |all: &[SecretString]| -> Vec<String> {
            all.iter().map(|url| url.expose_secret().to_owned()).collect()
        };
        self.prefix == other.prefix
            && self.share_limits == other.share_limits
            && shown(&self.urls) == shown(&other.urls)
            && shown(&self.sentinels) == shown(&other.sentinels)
    }
}

fn resolved(all: &[Reference], sources: &Sources, at: &ValuePath) -> Result<Vec<SecretString>, ConfigError> {
    all.iter().map(|one| one.plain(sources, at).map(SecretString::from)).collect()
}
