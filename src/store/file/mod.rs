//! A file that keeps the state of pools across restarts.

pub(super) mod error;
mod write;

use std::fmt;
use std::fs;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};

use crate::pool::{KeyPool, PoolState};
use crate::store::file::error::FileStoreError;
use crate::store::file::write::{Lock, beside, lock, replace};
use crate::store::health::{Health, tell};
use crate::store::pools::StorePools;

/// A file that keeps the state of pools across restarts.
///
/// Opening it takes a lock, so that one process writes it: the file `NAME.lock` beside it. Then
/// [`add`](Self::add) the pools, which restores their states, and spawn [`run`](Self::run), which writes
/// changes at most once a second, and once more at the end.
///
/// # Guarantees
///
/// The file is replaced as a whole: after a crash or `kill -9` at any moment it holds the state before or
/// after a write. It is readable for its owner only (mode 0600 on Unix), and holds no secret. A file that is
/// damaged, or of a later version, is moved aside and reported by an event, and the pools start clean. A full
/// disk is an event, too, and the file is written again when there is room.
///
/// # Example
///
/// ```
/// use tower_key_rotation::store::FileStore;
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("tower-key-rotation-doc-{}.json", std::process::id()));
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let mut store = FileStore::open(&path)?;
/// store.add(&pool);
///
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let saving = tokio::spawn(store.run(async { drop(stopped.await) }));
/// pool.disable(&"one".into())?;
/// drop(stop);
/// saving.await??;
///
/// let again = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// FileStore::open(&path)?.add(&again);
/// assert_eq!(again.usable(None), 0);
/// # std::fs::remove_file(&path)?;
/// # std::fs::remove_file(path.with_extension("json.lock"))?;
/// # Ok(())
/// # }
/// ```
#[must_use = "add the pools, and spawn `run`"]
pub struct FileStore {
    path: PathBuf,
    /// Locked for as long as the store exists.
    _lock: Lock,
    pools: StorePools,
    /// The pools whose states were restored.
    kept: Vec<KeyPool>,
    /// The states in the file that belong to no pool that was added.
    others: Vec<PoolState>,
    /// The states as they were written last.
    written: Vec<PoolState>,
    set_aside: Option<PathBuf>,
    every: Duration,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Content {
    pools: Vec<PoolState>,
}

/// Fails for what exists and is no regular file, since a device or a pipe may have no end, and for a path without a name.
fn require_file(path: &Path) -> io::Result<()> {
    let is_other = fs::metadata(path).is_ok_and(|found| !found.is_file());
    match is_other || path.file_name().is_none() {
        true => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        false => Ok(()),
    }
}

// === impl FileStore ===

impl FileStore {
    /// Default time between two looks for changes: one second.
    pub const EVERY: Duration = Duration::from_secs(1);

    /// Opens a file, which need not exist, and takes its lock. Reads it once. The directory has to exist.
    ///
    /// # Errors
    ///
    /// Returns [`FileStoreError`] if another process has the file, or if it can't be read or locked. A file
    /// with wrong content is no error; see [`set_aside`](Self::set_aside).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileStoreError> {
        let given = path.as_ref();
        let path = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
        let failed = |source| FileStoreError::Read { path: path.clone(), source };
        require_file(&path).map_err(failed)?;
        let lock = lock(&path)?;
        let (content, set_aside) = match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(content) => (content, None),
                Err(error) => {
                    (Content { pools: Vec::new() }, Some(set_aside(&path, &error).map_err(failed)?))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Content { pools: Vec::new() }, None),
            Err(error) => return Err(failed(error)),
        };
        let (others, kept, written) = (content.pools, Vec::new(), Vec::new());
        let (pools, every) = (StorePools::default(), Self::EVERY);
        Ok(Self { path, _lock: lock, pools, kept, others, written, set_aside, every })
    }

    /// Sets the time between two looks for changes. Default: [`EVERY`](Self::EVERY).
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Adds a pool, and restores its state from the file. The file has one state for each provider, so the
    /// pools need different providers.
    pub fn add(&mut self, pool: &KeyPool) {
        self.pools.add(pool);
        self.follow();
    }

    /// Returns a handle that changes the pools while the store runs. A pool that takes the place of another one of the
    /// same provider takes over its state.
    pub fn pools(&self) -> StorePools {
        self.pools.clone()
    }

    /// Restores the states of pools that are new, and keeps the states of those that are gone.
    fn follow(&mut self) {
        let pools = self.pools.list();
        let is_in = |list: &[KeyPool], pool: &KeyPool| list.iter().any(|other| other.id() == pool.id());
        let before = std::mem::replace(&mut self.kept, pools);
        let gone = before.iter().filter(|pool| !is_in(&self.kept, pool));
        self.others.extend(gone.map(KeyPool::export));
        let new: Vec<_> = self.kept.iter().filter(|pool| !is_in(&before, pool)).cloned().collect();
        new.iter().for_each(|pool| self.restore(pool));
    }

    fn restore(&mut self, pool: &KeyPool) {
        for state in self.others.extract_if(.., |state| state.provider() == pool.provider().name()) {
            // The providers are the same.
            let _merged = pool.merge(state);
        }
        if let Some(path) = &self.set_aside {
            let reason = format!("the state file was not readable and is now {}", path.display());
            tell(std::slice::from_ref(pool), STORE, &reason);
        }
    }

    /// Returns the path to which a file with wrong content was moved. `None` if the file was right.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Writes the present states, and waits for the disk. [`run`](Self::run) does that by itself.
    ///
    /// # Errors
    ///
    /// Returns the error of the file system. The file has its content from before.
    pub fn save(&mut self) -> io::Result<()> {
        let states = self.states();
        replace(&self.path, &self.content(&states)?)?;
        self.written = states;
        Ok(())
    }

    /// Writes changes until `shutdown` ends, and once more then.
    ///
    /// # Errors
    ///
    /// Returns the error of the last write. Errors before are events.
    pub fn run<F>(self, shutdown: F) -> impl Future<Output = io::Result<()>> + Send + use<F>
    where
        F: Future<Output = ()> + Send,
    {
        self.keep(shutdown)
    }

    /// Like [`run`](Self::run), without an end.
    pub async fn run_forever(self) -> io::Result<()> {
        self.keep(pending()).await
    }

    async fn keep(mut self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let (mut shutdown, health) = (pin!(shutdown), Health::new(STORE));
        if self.set_aside.is_some() {
            // That was told; the first write ends it.
            health.failed_before(&self.kept);
        }
        let mut changed = self.pools.watch();
        loop {
            let (due, news) = (pin!(tokio::time::sleep(self.every)), pin!(changed.changed()));
            let is_over = matches!(select(shutdown.as_mut(), select(due, news)).await, Either::Left(_));
            self.follow();
            health.keep(&self.kept);
            let result = self.save_changes().await;
            match &result {
                Ok(()) => health.works(&self.kept),
                Err(error) => health.fails(&self.kept, &error.to_string()),
            }
            if is_over {
                return result;
            }
        }
    }

    /// Writes the states if they have changed. The thread of the caller does not wait for the disk.
    async fn save_changes(&mut self) -> io::Result<()> {
        let states = self.states();
        let is_same = |(one, other): (&PoolState, &PoolState)| one.has_records_of(other);
        if states.len() == self.written.len() && states.iter().zip(&self.written).all(is_same) {
            return Ok(());
        }
        let (path, content) = (self.path.clone(), self.content(&states)?);
        tokio::task::spawn_blocking(move || replace(&path, &content)).await??;
        self.written = states;
        Ok(())
    }

    fn states(&self) -> Vec<PoolState> {
        self.kept.iter().map(KeyPool::export).collect()
    }

    fn content(&self, states: &[PoolState]) -> io::Result<Arc<[u8]>> {
        let pools = states.iter().chain(&self.others).cloned().collect();
        Ok(serde_json::to_vec_pretty(&Content { pools })?.into())
    }
}

const STORE: &str = "file";

/// Moves a file with wrong content aside. Returns its new path.
fn set_aside(path: &Path, error: &serde_json::Error) -> io::Result<PathBuf> {
    let free = (1..).map(|number: u32| beside(path, &format!("damaged-{number}")));
    let aside = free.into_iter().find(|aside| !aside.exists()).unwrap_or_else(|| beside(path, "damaged"));
    fs::rename(path, &aside)?;
    // The text of the error may quote the content, so only its place is named.
    tracing::warn!(
        target: "tower_key_rotation",
        file = %path.display(), moved_to = %aside.display(), line = error.line(), column = error.column(),
        "state file is damaged or of a later version, and was moved aside"
    );
    Ok(aside)
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, _lock: _, pools: _, kept, others: _, written: _, set_aside, every } = self;
        f.debug_struct("FileStore")
            .field("path", path)
            .field("pools", &kept.len())
            .field("set_aside", set_aside)
            .field("every", every)
            .finish_non_exhaustive()
    }
}
