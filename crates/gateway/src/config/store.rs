//! The stores of the state of keys: `state_file`, and the `[redis]` table.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tower_key_rotation::store::{InvalidRedis, RedisStore};

use crate::config::error::{ConfigError, Problem};
use crate::config::file::RedisTable;
use crate::config::location::ValuePath;
use crate::config::secret::Sources;

/// The stores of the state of keys.
#[derive(Clone, Debug, Default)]
pub struct StoreSettings {
    file: Option<PathBuf>,
    redis: Option<RedisSettings>,
}

/// The `[redis]` table.
#[derive(Clone, Debug)]
struct RedisSettings {
    url: SecretString,
    prefix: Option<String>,
}

// === impl StoreSettings ===

impl StoreSettings {
    /// Returns the file that keeps the state of keys across restarts.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Creates the store that shares the state of keys by Redis, without pools. `None` without a `[redis]` table.
    pub fn redis(&self) -> Option<RedisStore> {
        self.redis.as_ref().and_then(|redis| redis.store().ok())
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
    fn resolve(table: RedisTable, sources: &Sources) -> Result<Self, ConfigError> {
        let at = ValuePath::default().field("redis").field("url");
        let settings = Self { url: table.url.plain(sources, &at)?.into(), prefix: table.prefix };
        match settings.store() {
            Ok(_valid) => Ok(settings),
            Err(error) => Err(Problem::Redis(error).at(at)),
        }
    }

    fn store(&self) -> Result<RedisStore, InvalidRedis> {
        let store = RedisStore::new(self.url.expose_secret().trim())?;
        Ok(match &self.prefix {
            Some(prefix) => store.prefix(prefix.as_str()),
            None => store,
        })
    }
}
