//! News from the sources of secrets: events, and the end of refusals that concerned an older secret.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::Timestamp;
use crate::event::{EventKind, Severity};
use crate::key::{SecretUnavailable, SourceListener};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::current::Current;
use crate::pool::keys::key::KeyState;
use crate::pool::keys::key_set::KeySet;
use crate::pool::learn::outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::Cause;

/// A key that listens to its source.
struct Listener {
    current: Arc<Current<KeySet>>,
    state: Weak<KeyState>,
}

/// Keeps the secrets of all keys of a pool fresh. `present` returns its present keys, and `None` when the pool is gone;
/// `changed` is notified of both.
pub(in crate::pool) async fn renewal(changed: Arc<Notify>, present: impl Fn() -> Option<Arc<KeySet>>) {
    let (mut renewals, mut known) = (FuturesUnordered::new(), HashSet::new());
    loop {
        // Listen before looking. Otherwise a notification in between would be missed.
        let mut changed = pin!(changed.notified());
        Notified::enable(changed.as_mut());
        let Some(set) = present() else { return };
        for source in set.live().filter_map(|key| set.keys[key].spec.source()) {
            let (number, renewal) = (source.number(), source.renewal());
            if known.insert(number) {
                // Until it has ended, no other source gets the number.
                renewals.push(renewal.map(move |()| number));
            }
        }
        drop(set);
        while let Either::Left((ended, _)) = select(pin!(ended(&mut renewals)), changed.as_mut()).await {
            known.remove(&ended);
        }
    }
}

/// Returns the number of the next source that has ended. Never returns if there is none.
async fn ended<F: Future<Output = usize>>(renewals: &mut FuturesUnordered<F>) -> usize {
    match renewals.next().await {
        Some(number) => number,
        None => std::future::pending().await,
    }
}

/// Lets every key with a source listen to it.
pub(in crate::pool) fn listen(set: &KeySet) {
    for key in set.live().map(|key| &set.keys[key]) {
        if let Some(source) = key.spec.source() {
            let (current, state) = (Arc::clone(&set.current), Arc::downgrade(&key.state));
            source.listen(Arc::new(Listener { current, state }));
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Passes the key to `look`, if the pool has it still.
    fn with_key(&self, look: impl FnOnce(Candidate<'_>)) {
        let Some(set) = self.current.get() else { return };
        let is_it = |key: &usize| Arc::as_ptr(&set.keys[*key].state) == self.state.as_ptr();
        if let Some(key) = set.live().find(is_it) {
            look(Candidate::new(&set, None, key));
        }
    }
}

impl SourceListener for Listener {
    /// A key that was refused for its secret is probed next, because it has another one.
    fn renewed(&self, lifetime: Option<Duration>) {
        self.with_key(|candidate| {
            let now = Timestamp::now().as_unix_ms();
            if candidate.state(Level::Key).cause == Some(Cause::Invalid) {
                candidate.key().slot.end_bench(now);
                candidate.sync(Level::Key, now);
                outage::note(candidate.set);
            }
            let common = &candidate.set.common;
            common.released.tell();
            let key = &candidate.key().id;
            common.emit(Severity::Change, || EventKind::SecretRenewed { key: key.clone(), lifetime });
        });
    }

    fn failed(&self, error: &SecretUnavailable, valid_for: Option<Duration>) {
        let severity = if valid_for.is_some() { Severity::Change } else { Severity::Alarm };
        self.with_key(|candidate| {
            candidate.set.common.emit(severity, || EventKind::SecretUnavailable {
                key: candidate.key().id.clone(),
                error: error.to_string().into(),
                retry_in: error.retry_in(),
                valid_for,
            });
        });
    }

    fn is_gone(&self) -> bool {
        self.state.strong_count() == 0
    }

    fn number(&self) -> usize {
        self.state.as_ptr() as usize
    }
}
