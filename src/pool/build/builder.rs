//! The builder of a pool.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::event::Events;
use crate::key::{AccountId, ApiKey, EnvKeys, EnvVar};
use crate::limits::{Quota, Zone};
use crate::pool::build::successor::successor;
use crate::pool::keys::common::{Common, Settings};
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::quotas::Quotas;
use crate::pool::shared::Shared;
use crate::pool::{BuildError, Cooldowns, KeyPool, PoolState, Selection};
use crate::provider::Provider;

/// Builds a [`KeyPool`]. Created by [`KeyPool::builder`].
///
/// # Example
///
/// ```
/// use tower_key_rotation::limits::Quota;
/// use tower_key_rotation::pool::{KeyPool, Selection};
/// use tower_key_rotation::{ApiKey, Provider};
///
/// let pool = KeyPool::builder(Provider::openai())
///     .key(ApiKey::new("sk-one")?.id("one"))
///     .key(ApiKey::new("sk-two")?.id("two"))
///     .selection(Selection::LeastInFlight)
///     .quota(Quota::requests(500).per_minute())
///     .build()?;
/// assert_eq!(pool.usable(None), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "call `build`"]
pub struct KeyPoolBuilder {
    provider: Provider,
    keys: Vec<ApiKey>,
    searched: Vec<String>,
    findings: Vec<EnvVar>,
    selection: Selection,
    cooldowns: Cooldowns,
    learn_accounts: bool,
    max_models: usize,
    quotas: Vec<Quota>,
    account_quotas: HashMap<AccountId, Vec<Quota>>,
    warn_at: Vec<f64>,
    events: Events,
    states: Vec<PoolState>,
}

// === impl KeyPoolBuilder ===

impl KeyPoolBuilder {
    /// Default maximum number of models tracked (256). See [`max_models`](Self::max_models).
    pub const MAX_MODELS: usize = 256;

    /// Default warning thresholds: 80 % and 95 % of a limit. See [`warn_at`](Self::warn_at).
    pub const WARN_AT: [f64; 2] = [0.8, 0.95];

    pub(in crate::pool) fn new(provider: Provider) -> Self {
        Self {
            provider,
            keys: Vec::new(),
            searched: Vec::new(),
            findings: Vec::new(),
            selection: Selection::default(),
            cooldowns: Cooldowns::default(),
            learn_accounts: true,
            max_models: Self::MAX_MODELS,
            quotas: Vec::new(),
            account_quotas: HashMap::new(),
            warn_at: Self::WARN_AT.to_vec(),
            events: Events::default(),
            states: Vec::new(),
        }
    }

    /// Adds a key.
    pub fn key(mut self, key: ApiKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds keys, in their order.
    pub fn keys(mut self, keys: impl IntoIterator<Item = ApiKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Adds the keys that the process environment holds for the provider. [`EnvKeys`] lists the variables.
    /// Reports those that were found in `tracing` events. A variable that holds no valid key is skipped with
    /// a warning; if none is left, the error of [`build`](Self::build) says the same.
    pub fn keys_from_env(self) -> Self {
        let found = EnvKeys::in_process(&self.provider);
        self.keys_from(found)
    }

    /// Adds the keys of a [`EnvKeys`], and reports them in a `tracing` event.
    pub fn keys_from(mut self, found: EnvKeys) -> Self {
        found.report(self.provider.name());
        self.searched.extend_from_slice(found.searched());
        self.findings.extend_from_slice(found.findings());
        self.keys(found)
    }

    /// Sets the policy that selects the next usable key. Default: [`Selection::RoundRobin`].
    pub const fn selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// Sets the duration of cooldowns, by reason. Default: [`Cooldowns::default`].
    pub const fn cooldowns(mut self, cooldowns: Cooldowns) -> Self {
        self.cooldowns = cooldowns;
        self
    }

    /// Sets whether responses may show which keys share an account; see
    /// [`Lease::observe`](crate::pool::Lease::observe). Turn this off if the provider's URL is a gateway that
    /// responds to all its users in the name of one account. A declared account ([`ApiKey::account`]) counts
    /// in any case. Default: `true`.
    pub const fn learn_accounts(mut self, learn: bool) -> Self {
        self.learn_accounts = learn;
        self
    }

    /// Sets the maximum number of models tracked, each with a state per key and account. Beyond it, the model
    /// whose last fault or request is oldest is dropped. Each model takes up to 48 bytes for each key, so a
    /// pool with very many keys may want fewer. Zero counts as one. Default:
    /// [`MAX_MODELS`](Self::MAX_MODELS).
    ///
    /// Counts of limits [declared for models](Quota::for_models) are not dropped with the model. The same
    /// number of names is counted separately; further names are counted together, by pattern.
    pub const fn max_models(mut self, models: usize) -> Self {
        self.max_models = if models == 0 { 1 } else { models };
        self
    }

    /// Adds a quota that applies to every account separately. A key without an account counts as its own
    /// account. May be called repeatedly; all quotas apply, and so do the limits that responses report.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// Adds a quota that applies to one account, in addition to those that apply to [every
    /// account](Self::quota). May be called repeatedly; all quotas apply.
    pub fn account_quota(mut self, account: impl Into<AccountId>, quota: Quota) -> Self {
        self.account_quotas.entry(account.into()).or_default().push(quota);
        self
    }

    /// Sets the warning thresholds: the used fractions of a limit, from 0 to 1, at which a
    /// [`QuotaWarning`](crate::event::EventKind::QuotaWarning) event is emitted, once per window. They apply to
    /// declared and learned limits with a window of at least one minute. Values outside 0 to 1 are ignored,
    /// and only the lowest eight count. No values: no warnings. Default: [`WARN_AT`](Self::WARN_AT).
    pub fn warn_at(mut self, shares: impl IntoIterator<Item = f64>) -> Self {
        self.warn_at = shares.into_iter().filter(|share| (0.0..=1.0).contains(share)).collect();
        self.warn_at.sort_by(f64::total_cmp);
        self.warn_at.dedup();
        self
    }

    /// Sets the hub that receives the pool's events. Default: a hub of its own.
    pub fn events(mut self, events: &Events) -> Self {
        self.events = events.clone();
        self
    }

    /// Restores a state that was [exported](KeyPool::export) before, by this process or another one. May be
    /// called repeatedly, with states of any age. Keys that the pool does not have are ignored, and so is the
    /// state of a key whose secret was replaced.
    ///
    /// See [`PoolState`] for an example.
    pub fn restore(mut self, state: PoolState) -> Self {
        self.states.push(state);
        self
    }

    /// Builds the pool. Starts no task.
    ///
    /// # Errors
    ///
    /// Returns [`BuildError`] if there are no keys, if two keys have the same secret or id, or if a name or
    /// secret is invalid. Returns [`BuildError::State`] if a state to restore belongs to another provider.
    pub fn build(self) -> Result<KeyPool, BuildError> {
        let Self {
            provider,
            mut keys,
            searched,
            findings,
            selection,
            cooldowns,
            learn_accounts,
            max_models,
            quotas,
            account_quotas,
            warn_at,
            events,
            states,
        } = self;
        if keys.is_empty() && provider.needs_key() {
            return Err(BuildError::NoKeys { provider: provider.name().to_owned(), searched, findings });
        } else if keys.is_empty() {
            keys.push(ApiKey::not_needed());
        }
        let midnight = if provider.has_pacific_days() { Zone::pacific() } else { Zone::utc() };
        let quotas = Quotas::new(quotas, account_quotas, midnight);
        let settings =
            Settings { provider, selection, cooldowns, learn_accounts, warn_at, max_models, events };
        let common = Arc::new(Common::new(settings, keys.len()));
        let set = successor(&Arc::new(KeySet::empty(Arc::clone(&common), quotas)), keys)?.set;
        let pool = KeyPool(Arc::new(Shared::new(common, set)));
        states.into_iter().try_for_each(|state| pool.merge(state))?;
        Ok(pool)
    }
}

impl fmt::Debug for KeyPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            keys,
            searched,
            findings,
            selection,
            cooldowns,
            learn_accounts,
            max_models,
            quotas,
            account_quotas,
            warn_at,
            events,
            states,
        } = self;
        f.debug_struct("KeyPoolBuilder")
            .field("provider", provider)
            .field("keys", keys)
            .field("searched", searched)
            .field("findings", findings)
            .field("selection", selection)
            .field("cooldowns", cooldowns)
            .field("learn_accounts", learn_accounts)
            .field("max_models", max_models)
            .field("quotas", quotas)
            .field("account_quotas", account_quotas)
            .field("warn_at", warn_at)
            .field("events", events)
            .field("states", &states.len())
            .finish()
    }
}
