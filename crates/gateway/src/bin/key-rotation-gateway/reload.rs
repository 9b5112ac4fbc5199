//! Loading the configuration again when one of its files changes, or on SIGHUP.
//!
//! Editors, package managers and Kubernetes replace a file rather than write to it: they rename another file over it,
//! or a symbolic link on the way to it. So the folders of the files are watched, and those of all links on the way. A
//! notification only leads to a look at the files, whose content decides.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tower_key_rotation_gateway::config::Loader;
use tower_key_rotation_gateway::{Gateway, Stores};

use crate::signals::Hangups;

/// Time without a further notification after which the files are read (200 ms), because a change comes in steps.
const QUIET: Duration = Duration::from_millis(200);

/// Maximum number of times that a change may go on for another [`QUIET`], so that a busy folder delays no change.
const STEPS: usize = 10;

/// Maximum number of symbolic links on the way to a file.
const LINKS: usize = 16;

/// The folders that are watched.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

/// A load that has failed.
struct Failure {
    error: String,
    /// The digest of the files before it. Another file than these may mend the error.
    digest: [u8; 32],
}

/// Loads the configuration again whenever one of its files has changed, and on SIGHUP. Never returns.
pub(crate) async fn reload(gateway: Gateway, stores: Stores, file: PathBuf, mut hangups: Hangups) {
    let (mut folders, mut failure) = (Folders::new(), None);
    loop {
        folders = folders.watching(&gateway, &file).await;
        // A change that came before its folder was watched is seen here, and any later one is notified.
        let is_due = is_due(&gateway, &file, failure.as_ref()).await;
        let forced = tokio::select! {
            () = folders.changed.notified(), if !is_due => false,
            () = std::future::ready(()), if is_due => false,
            () = hangups.next(), if !is_due => true,
        };
        if !forced {
            folders.settle().await;
        }
        if forced || failure.is_some() || self::is_due(&gateway, &file, None).await {
            failure = load(&gateway, &file, failure.filter(|_| !forced)).await;
            stores.follow(&gateway.config()).await;
        }
    }
}

/// Loads the configuration, and logs the result. An error that is the same as before is not logged again.
async fn load(gateway: &Gateway, file: &Path, before: Option<Failure>) -> Option<Failure> {
    let (gateway, file) = (gateway.clone(), file.to_owned());
    let loaded = tokio::task::spawn_blocking(move || {
        let digest = gateway.config().digest_of_files(&file);
        (gateway.reload(&Loader::new(), file), digest)
    });
    let (error, digest) = match loaded.await {
        Ok((Ok(()), _)) => {
            tracing::info!(target: "gateway", "configuration loaded again");
            return None;
        }
        Ok((Err(error), digest)) => (error.to_string(), digest),
        Err(_panicked) => ("loading has failed".to_owned(), [0; 32]),
    };
    if before.is_none_or(|before| before.error != error) {
        tracing::error!(
            target: "gateway", error, "the configuration stays as it was: the new one can't be used"
        );
    }
    Some(Failure { error, digest })
}

/// Returns whether the files differ from what was loaded, or tried, last. They are read on a thread of their own, because
/// a file that hangs, as on a network that is away, must delay no request.
async fn is_due(gateway: &Gateway, file: &Path, failure: Option<&Failure>) -> bool {
    let (gateway, file, failed) = (gateway.clone(), file.to_owned(), failure.map(|failure| failure.digest));
    let differs = move || match failed {
        None => gateway.config().is_outdated(),
        Some(digest) => gateway.config().digest_of_files(&file) != digest,
    };
    tokio::task::spawn_blocking(differs).await.unwrap_or_default()
}

/// Returns the files that the present configuration was read from.
fn files(gateway: &Gateway, file: &Path) -> Vec<PathBuf> {
    let config = gateway.config();
    config.files().chain([file]).map(Path::to_owned).collect()
}

// === impl Folders ===

impl Folders {
    fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that notifications may be missing.
            if event.as_ref().map_or(true, |event| is_change(event.kind)) {
                notify.notify_one();
            }
        });
        let watcher = watcher.inspect_err(warn).ok();
        Self { watcher, watched: BTreeSet::new(), changed }
    }

    /// Watches the folders of all files, on a thread of its own.
    async fn watching(mut self, gateway: &Gateway, file: &Path) -> Self {
        let files = files(gateway, file);
        let watched = tokio::task::spawn_blocking(move || {
            self.watch(&files);
            self
        });
        watched.await.unwrap_or_else(|_panicked| Self::new())
    }

    /// Watches the folders of these files and of all links on the way to them, and no others. A folder is watched
    /// anew each time, because another one may have its name by now.
    fn watch(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in std::mem::take(&mut self.watched) {
            // A folder that was removed is watched no more.
            let _ = watcher.unwatch(&folder);
        }
        for folder in files.iter().flat_map(|file| folders(file)).collect::<BTreeSet<_>>() {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(folder)),
                Err(error) => warn(&error),
            }
        }
    }

    /// Waits until the files have not changed for a moment.
    async fn settle(&self) {
        for _ in 0..STEPS {
            if timeout(QUIET, self.changed.notified()).await.is_err() {
                return;
            }
        }
        sleep(QUIET).await;
    }
}

fn warn(error: &notify::Error) {
    tracing::warn!(target: "gateway", %error, "changes of the configuration can't be watched: send SIGHUP to load it again");
}

/// Returns whether a notification may be about a change of a file. Reading a file is none.
const fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Returns the folder of a file, and the folders of all symbolic links on the way to it.
fn folders(file: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    for _ in 0..LINKS {
        for part in path.ancestors().filter(|part| *part == path || part.is_symlink()) {
            folders.extend(part.parent().map(Path::to_owned));
        }
        match (std::fs::read_link(&path), path.parent()) {
            (Ok(target), Some(parent)) => path = parent.join(target),
            _ => break,
        }
    }
    folders
}
