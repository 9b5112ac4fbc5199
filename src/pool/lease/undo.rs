//! A cooldown that can be undone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::classify::{Fault, Reason};
use crate::clock::Timestamp;
use crate::event::{EventKind, Severity};
use crate::pool::Lease;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::learn::outage as auth_outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, CooldownChange, FOREVER, Permit, Slot};
use crate::provider::ModelId;

/// A cooldown that a fault caused. Call [`undo`](Self::undo) if the request turns out to be at fault.
///
/// ```
/// use tower_key_rotation::classify::{Fault, Reason, Scope};
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let undo = pool.acquire(())?.fail(&Fault::new(Reason::RateLimited, Scope::Key), None);
/// assert_eq!(pool.usable(None), 0);
///
/// if let Some(undo) = undo {
///     undo.undo();
/// }
/// assert_eq!(pool.usable(None), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "hold on to it for as long as the verdict may turn out to be the request's fault"]
pub struct UndoCooldown {
    pub(in crate::pool) target: Target,
    pub(in crate::pool) cooldown: CooldownChange,
    pub(in crate::pool) at: Timestamp,
}

/// The scope that a refusal concerns: a key or its account, for all models or for one.
pub(in crate::pool) struct Target {
    pub(in crate::pool) set: Arc<KeySet>,
    pub(in crate::pool) model_state: Option<Arc<ModelState>>,
    pub(in crate::pool) key: usize,
    pub(in crate::pool) account: usize,
    pub(in crate::pool) level: Level,
}

// === impl UndoCooldown ===

impl UndoCooldown {
    /// Undoes the cooldown, unless the state of the key has changed since.
    pub fn undo(self) {
        self.undo_at(Timestamp::now());
    }

    pub(crate) fn undo_at(self, now: Timestamp) {
        self.target.undo(self.cooldown, now);
    }

    /// Returns the duration of the cooldown. `None` means until the key is replaced or reset.
    pub fn wait(&self) -> Option<Duration> {
        self.cooldown.wait(self.at)
    }
}

impl fmt::Debug for UndoCooldown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target: Target { set, key, level, .. }, cooldown: _, at } = self;
        f.debug_struct("UndoCooldown")
            .field("key", &set.keys[*key].id)
            .field("level", level)
            .field("wait", &self.wait())
            .field("at", at)
            .finish()
    }
}

// === impl CooldownChange ===

impl CooldownChange {
    /// Returns the duration of the cooldown from `at` on. `None` means until the key is replaced or reset.
    pub(in crate::pool) fn wait(self, at: Timestamp) -> Option<Duration> {
        let until = self.after.until;
        (until < FOREVER).then(|| Timestamp::from_unix_ms(until).saturating_since(at))
    }
}

// === impl Target ===

impl Target {
    pub(in crate::pool) fn of(lease: &Lease, level: Level) -> Self {
        let Lease { set, model_state, account, .. } = lease;
        Self {
            set: Arc::clone(set),
            model_state: model_state.clone(),
            key: set.key(),
            account: *account,
            level,
        }
    }

    pub(in crate::pool) fn candidate(&self) -> Candidate<'_> {
        Candidate { set: &self.set, model: self.model_state.as_deref(), key: self.key, account: self.account }
    }

    /// Returns the keys of the scope.
    pub(in crate::pool) fn members(&self) -> Vec<usize> {
        match self.level {
            Level::Key | Level::KeyModel => vec![self.key],
            Level::Account | Level::AccountModel => self.set.members(self.account, self.key),
        }
    }

    pub(in crate::pool) fn slot(&self) -> Option<&Slot> {
        self.candidate().slot(self.level)
    }

    /// Puts the scope into a cooldown. Returns the effect and the cause; `None` if the scope is in no
    /// cooldown afterwards.
    pub(in crate::pool) fn cool_down(
        &self,
        permit: Permit,
        cause: Cause,
        wait: Option<Duration>,
        now: Timestamp,
    ) -> Option<(CooldownChange, Cause)> {
        let cooldowns = &self.set.common.cooldowns;
        self.begin_cooldown(permit, cause, now, |strikes| cooldowns.until(cause, wait, strikes, now))
    }

    /// Like [`cool_down`](Self::cool_down), for exactly this wait.
    pub(in crate::pool) fn cool_down_for(
        &self,
        permit: Permit,
        cause: Cause,
        wait: Duration,
        now: Timestamp,
    ) -> Option<(CooldownChange, Cause)> {
        let until = now.saturating_add(wait).as_unix_ms().min(FOREVER - 1);
        self.begin_cooldown(permit, cause, now, |_| until)
    }

    fn begin_cooldown(
        &self,
        permit: Permit,
        cause: Cause,
        now: Timestamp,
        until: impl Fn(u8) -> u64,
    ) -> Option<(CooldownChange, Cause)> {
        let cooldown = self.slot()?.begin_cooldown(permit, cause, now.as_unix_ms(), until);
        self.candidate().sync(self.level, now.as_unix_ms());
        if cooldown.before.probing && !cooldown.after.probing {
            // Waiters wait for the probe to end, and this lease may be another one than the probe.
            self.set.common.released.tell();
        }
        cooldown.after.cause?;
        if cause == Cause::Invalid {
            auth_outage::note(&self.set);
        }
        Some((cooldown, cause))
    }

    /// Undoes a cooldown, unless the state of the scope has changed since.
    pub(in crate::pool) fn undo(&self, cooldown: CooldownChange, now: Timestamp) {
        let Some(slot) = self.slot() else { return };
        slot.undo(cooldown, now.as_unix_ms());
        self.candidate().sync(self.level, now.as_unix_ms());
        if cooldown.after.cause == Some(Cause::Invalid) {
            auth_outage::note(&self.set);
        }
        self.set.common.released.tell();
    }
    /// Emits the event that a fault has put the scope into a cooldown.
    pub(in crate::pool) fn announce(&self, fault: &Fault, model: Option<&ModelId>, wait: Option<Duration>) {
        let (reason, scope, common) = (fault.reason(), fault.scope(), &self.set.common);
        let key = || self.candidate().key().id.clone();
        match reason {
            Reason::InvalidKey => {
                common.emit(Severity::Alarm, || EventKind::InvalidKey { key: key(), scope });
            }
            _ => common.emit(Severity::Change, || {
                let (model, hint) = (model.cloned(), fault.retry_after());
                EventKind::CooledDown { key: key(), model, reason, scope, wait, hint }
            }),
        }
    }
}
