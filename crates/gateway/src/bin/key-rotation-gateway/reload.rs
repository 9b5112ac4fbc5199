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
use sha2::{Digest, Sha256};
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
    digest: Vec<u8>,
}

/// Loads the configuration again whenever one of its files has changed, and on SIGHUP. Never returns.
pub(crate) async fn reload(gateway: Gateway, stores: Stores, file: PathBuf, mut hangups: Hangups) {
    let (mut folders, mut failure) = (Folders::new(), None);
    loop {
        folders.watch(&files(&gateway, &file));
        // A change that came before its folder was watched is seen here, and any later one is notified.
        let is_due = is_due(&gateway, &file, failure.as_ref());
        let forced = tokio::select! {
            () = folders.changed.notified(), if !is_due => false,
            () = std::future::ready(()), if is_due => false,
            () = hangups.next(), if !is_due => true,
        };
        if !forced {
            folders.settle().await;
        }
        if forced || failure.is_some() || gateway.config().is_outdated() {
            failure = load(&gateway, &file, failure.filter(|_| !forced)).await;
            stores.follow(&gateway.config()).await;
        }
    }
}

/// Loads the configuration, and logs the result. An error that is the same as before is not logged again.
async fn load(gateway: &Gateway, file: &Path, before: Option<Failure>) -> Option<Failure> {
    let digest = digest(&files(gateway, file));
    let (gateway, file) = (gateway.clone(), file.to_owned());
    let loaded = tokio::task::spawn_blocking(move || gateway.reload(&Loader::new(), file)).await;
    let error = match loaded {
        Ok(Ok(())) => {
            tracing::info!(target: "gateway", "configuration loaded again");
            return None;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_panicked) => "loading has failed".to_owned(),
    };
    if before.is_none_or(|before| before.error != error) {
        tracing::error!(
            target: "gateway", error, "the configuration stays as it was: the new one can't be used"
        );
    }
    Some(Failure { error, digest })
}

/// Returns whether the files differ from what was loaded, or tried, last.
fn is_due(gateway: &Gateway, file: &Path, failure: Option<&Failure>) -> bool {
    match failure {
        None => gateway.config().is_outdated(),
        Some(failure) => failure.digest != digest(&files(gateway, file)),
    }
}

/// Returns the files that the present configuration was read from.
fn files(gateway: &Gateway, file: &Path) -> Vec<PathBuf> {
    let config = gateway.config();
    config.files().chain([file]).map(Path::to_owned).collect()
}

/// Returns a digest of the content of files. A file that can't be read counts as such.
fn digest(files: &[PathBuf]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for file in files {
        let content = std::fs::read(file).map(Sha256::digest);
        digest.update(content.map_or_else(|_| b"unreadable".to_vec(), |digest| digest.to_vec()));
    }
    digest.finalize().to_vec()
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
