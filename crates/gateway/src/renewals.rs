//! The tasks that renew secrets.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

use crate::config::Config;

/// The tasks that keep the secrets of keys with sources fresh, one for each pool. A task ends with its pool, so a
/// configuration that follows another one starts those of its new pools only.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    run: AtomicBool,
}

// === impl Renewals ===

impl Renewals {
    /// Starts the tasks, unless they run already. Outside a tokio runtime the method does nothing.
    pub(crate) fn start(&self, config: &Config) {
        if self.run.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.run.swap(true, Ordering::Relaxed) {
            for provider in config.providers().iter().filter(|it| it.begins_renewal()) {
                let _task = runtime.spawn(provider.pool().renewal());
            }
        }
    }
}
