//! Putting a pool together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::account::Membership;
use super::key_set::{Key, KeySet};
use super::outage::Outage;
use super::quotas::Quotas;
use super::slot::Slot;
use super::standing::LastSuccess;
use super::stats::Stats;
use super::suspicion::Suspicion;
use super::tally::Tally;
use super::wait::Freed;
use super::{BuildError, Common, Cooldowns, KeyPool, Selection, Shared};
use crate::clock::Pace;
use crate::event::Events;
use crate::key::{AccountId, ApiKey, Discovery, InvalidName, KeyId, Secret};
use crate::limits::{Quota, Zone};
use crate::provider::Provider;

/// Builds a [`KeyPool`]; made by [`KeyPool::builder`].
#[must_use = "call `build`"]
pub struct KeyPoolBuilder {
    provider: Provider,
    keys: Vec<ApiKey>,
    looked_at: Vec<String>,
    selection: Selection,
    cooldowns: Cooldowns,
    learn_accounts: bool,
    max_models: usize,
    quotas: Vec<Quota>,
    account_quotas: HashMap<AccountId, Vec<Quota>>,
    warn_at: Vec<f64>,
    events: Events,
}

// === impl KeyPoolBuilder ===

impl KeyPoolBuilder {
    /// Default of [`max_models`](Self::max_models): 256.
    pub const MAX_MODELS: usize = 256;

    /// Four fifths of a limit, and nearly all of it.
    pub const WARN_AT: [f64; 2] = [0.8, 0.95];

    pub(super) fn new(provider: Provider) -> Self {
        Self {
            provider,
            keys: Vec::new(),
            looked_at: Vec::new(),
            selection: Selection::default(),
            cooldowns: Cooldowns::default(),
            learn_accounts: true,
            max_models: Self::MAX_MODELS,
            quotas: Vec::new(),
            account_quotas: HashMap::new(),
            warn_at: Self::WARN_AT.to_vec(),
            events: Events::default(),
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

    /// Adds the keys that the environment of the process holds for the provider. What was found where is
    /// said in a `tracing` event; a variable that holds no valid key is passed over with a warning.
    pub fn keys_from_env(self) -> Self {
        let found = Discovery::in_process(&self.provider);
        self.keys_from(found)
    }

    /// Adds keys that were discovered.
    pub fn keys_from(mut self, found: Discovery) -> Self {
        found.report(self.provider.name());
        self.looked_at.extend_from_slice(found.looked_at());
        self.keys(found)
    }

    /// Which of the usable keys is next. Default: [`Selection::RoundRobin`].
    pub const fn selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// How long a key is benched for what. Default: [`Cooldowns::default`].
    pub const fn cooldowns(mut self, cooldowns: Cooldowns) -> Self {
        self.cooldowns = cooldowns;
        self
    }

    /// Whether answers may show which keys share an account; see [`Lease::observe`](super::Lease::observe).
    /// Turn it off for a gateway that answers all its users in the name of one account. What was declared
    /// ([`ApiKey::account`]) counts in any case. Default: `true`.
    pub const fn learn_accounts(mut self, learn: bool) -> Self {
        self.learn_accounts = learn;
        self
    }

    /// How many models are remembered at once, each with a state per key and account; the one at fault or asked for
    /// the longest ago is forgotten first. Each takes up to 48 bytes a key, so a pool of very many keys may want
    /// fewer. Default: [`MAX_MODELS`](Self::MAX_MODELS).
    ///
    /// What is counted of limits [declared for models](Quota::for_models) is not forgotten with them: as many names
    /// are counted each by itself, and what comes beyond is counted together by pattern.
    pub const fn max_models(mut self, models: usize) -> Self {
        self.max_models = if models == 0 { 1 } else { models };
        self
    }

    /// A limit of each account of the pool, a key without an account being one of its own; may be given several
    /// times, and all hold. What answers tell of limits holds beside them.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// A limit of one account, beside those of each.
    pub fn account_quota(mut self, account: impl Into<AccountId>, quota: Quota) -> Self {
        self.account_quotas.entry(account.into()).or_default().push(quota);
        self
    }

    /// The shares of any known limit of which a minute or more is counted that are told of when they are used
    /// up, once a window; eight at most. Default: [`WARN_AT`](Self::WARN_AT). None: nothing is told.
    pub fn warn_at(mut self, shares: impl IntoIterator<Item = f64>) -> Self {
        self.warn_at = shares.into_iter().filter(|share| (0.0..=1.0).contains(share)).collect();
        self.warn_at.sort_by(f64::total_cmp);
        self.warn_at.dedup();
        self
    }

    /// The hub that hears of what happens. Default: one of the pool's own.
    pub fn events(mut self, events: &Events) -> Self {
        self.events = events.clone();
        self
    }

    /// Builds the pool. Starts no task.
    ///
    /// # Errors
    ///
    /// [`BuildError`], which names keys by their ids.
    pub fn build(self) -> Result<KeyPool, BuildError> {
        let Self {
            provider,
            keys,
            looked_at,
            selection,
            cooldowns,
            learn_accounts,
            max_models,
            quotas,
            account_quotas,
            warn_at,
            events,
        } = self;
        if keys.is_empty() {
            return Err(BuildError::NoKeys { provider: provider.name().to_owned(), looked_at });
        }
        let midnight = if provider.has_pacific_days() { Zone::pacific() } else { Zone::utc() };
        let quotas = Quotas::new(quotas, account_quotas, &keys, midnight);
        #[cfg(feature = "metrics")]
        events.declare_models(quotas.named_models());
        let common = Arc::new(Common {
            name: provider.name().into(),
            provider,
            selection,
            cooldowns,
            learn_accounts,
            warn_at: warn_at.into(),
            suspicion: Suspicion::default(),
            freed: Freed::default(),
            outage: Outage::default(),
            pace: Pace::default(),
            events,
            said_unreadable: false.into(),
        });
        let set = key_set(&common, keys, max_models, quotas)?;
        Ok(KeyPool(Arc::new(Shared { common, set: ArcSwap::from_pointee(set) })))
    }
}

fn key_set(
    common: &Arc<Common>,
    keys: Vec<ApiKey>,
    max_models: usize,
    quotas: Quotas,
) -> Result<KeySet, BuildError> {
    let provider = &common.provider;
    let mut secrets = HashMap::new();
    let mut ids = HashMap::new();
    let mut numbers: HashMap<AccountId, usize> = HashMap::new();
    let mut accounts = Vec::new();
    let mut built = Vec::with_capacity(keys.len());
    for (index, key) in keys.into_iter().enumerate() {
        let invalid = |(what, source)| BuildError::InvalidName { number: index + 1, what, source };
        key.check_names().map_err(invalid)?;
        let secret = key.secret();
        let id = key.declared_id().cloned().unwrap_or_else(|| secret.fingerprint(provider.name()));
        if let Some(first) = secrets.insert(secret.digest(provider.name()), id.clone()) {
            return Err(BuildError::DuplicateSecret { first, second: id });
        }
        if ids.insert(id.clone(), index).is_some() {
            return Err(BuildError::DuplicateId(id));
        }
        let account = number(key.declared_account(), &mut numbers, &mut accounts);
        built.push(build_key(provider, &key, id, account, &quotas)?);
    }
    for (id, index) in &ids {
        let as_secret = Secret::new(id.as_str()).ok().map(|id| id.digest(provider.name()));
        if as_secret.is_some_and(|digest| secrets.contains_key(&digest)) {
            let (number, source) = (index + 1, InvalidName::ShowsSecret);
            return Err(BuildError::InvalidName { number, what: "id", source });
        }
    }
    Ok(KeySet::new(Arc::clone(common), built, accounts, max_models, quotas))
}

/// The number of an account: the one its name has, or the next.
fn number(
    declared: Option<&AccountId>,
    numbers: &mut HashMap<AccountId, usize>,
    accounts: &mut Vec<Option<AccountId>>,
) -> usize {
    let next = accounts.len();
    if let Some(id) = declared {
        match numbers.entry(id.clone()) {
            Entry::Occupied(known) => return *known.get(),
            Entry::Vacant(new) => new.insert(next),
        };
    }
    accounts.push(declared.cloned());
    next
}

fn build_key(
    provider: &Provider,
    key: &ApiKey,
    id: KeyId,
    account: usize,
    quotas: &Quotas,
) -> Result<Key, BuildError> {
    let header = key.secret().render(provider.auth());
    Ok(Key {
        header: header.map_err(|source| BuildError::InvalidSecret { key: id.clone(), source })?,
        secret: key.secret().clone(),
        account: Membership::new(account),
        tier: key.declared_tier(),
        weight: key.declared_weight(),
        disabled: 0.into(),
        slot: Slot::default(),
        stats: Stats::default(),
        served: LastSuccess::default(),
        tally: Tally::default(),
        ledger: quotas.of_key(key.declared_quotas()),
        id,
    })
}

impl fmt::Debug for KeyPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            keys,
            looked_at,
            selection,
            cooldowns,
            learn_accounts,
            max_models,
            quotas,
            account_quotas,
            warn_at,
            events,
        } = self;
        f.debug_struct("KeyPoolBuilder")
            .field("provider", provider)
            .field("keys", keys)
            .field("looked_at", looked_at)
            .field("selection", selection)
            .field("cooldowns", cooldowns)
            .field("learn_accounts", learn_accounts)
            .field("max_models", max_models)
            .field("quotas", quotas)
            .field("account_quotas", account_quotas)
            .field("warn_at", warn_at)
            .field("events", events)
            .finish()
    }
}
