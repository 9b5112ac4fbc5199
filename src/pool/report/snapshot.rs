//! Snapshots: the state of a pool at one moment, for status pages and checkpoints.
//!
//! A snapshot is free of secrets by type: none of its fields can hold one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Timestamp};
use crate::key::{AccountId, KeyCheck, KeyId, Tier};
use crate::limits::LimitStatus;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::usage::UsageSnapshot;
use crate::pool::report::limits;
use crate::pool::report::limits::{ModelLimits, ModelUsage, by_model, statuses};
use crate::pool::scope::level::Level;
use crate::pool::scope::ready_bits::Bar;
use crate::pool::scope::shared_limit::CanaryGate;
use crate::pool::scope::slot::{Cause, FOREVER, Slot, State};
use crate::provider::ModelId;

/// The state of a pool at one moment. Created by [`KeyPool::snapshot`](crate::pool::KeyPool::snapshot).
///
/// ```
/// use tower_key_rotation::pool::KeyState;
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let snapshot = pool.snapshot();
/// assert_eq!(snapshot.keys[0].state, KeyState::Available);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// The provider's name.
    pub provider: String,
    /// The time at which the snapshot was taken.
    pub at: Timestamp,
    /// The keys, in the order of the pool.
    pub keys: Vec<KeySnapshot>,
    /// Usage per model, for the models that the pool tracks: those that had a fault or have known limits.
    pub models: Vec<ModelUsage>,
}

/// The state of a key at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeySnapshot {
    /// The key's id.
    pub id: KeyId,
    /// The account, if one was declared for the key or for a key that shares its account.
    pub account: Option<AccountId>,
    /// The number of the key's account. Keys that share an account have the same number.
    pub account_number: usize,
    /// Whether responses showed that the key shares this account. If not, it was declared, or is the key's own.
    pub account_learned: bool,
    /// The key's tier: primary or backup.
    pub tier: Tier,
    /// The state of the key for every model. It includes the state of its account.
    pub state: KeyState,
    /// Whether an operator has [forced](crate::KeyPool::cool_down) the cooldown that the key is in.
    #[serde(default)]
    pub forced: bool,
    /// The time at which the state began. `None` if it never changed, or if its beginning is unknown.
    pub since: Option<Timestamp>,
    /// The time at which the state ends by itself. `None` if it does not, and for a key that is available.
    pub until: Option<Timestamp>,
    /// The time at which an attempt last used the key.
    pub last_used: Option<Timestamp>,
    /// Number of attempts that used the key.
    pub calls: u64,
    /// Number of attempts that succeeded.
    pub successes: u64,
    /// Number of faults that concerned the key or its account.
    pub faults: u64,
    /// Number of such faults since the last success.
    pub consecutive_faults: u64,
    /// Number of requests in flight. A request is in flight until the end of its response body.
    pub in_flight: u64,
    /// Usage: the requests and tokens of successful responses.
    pub usage: UsageSnapshot,
    /// The status of limits that apply to every model, declared ones first.
    pub limits: Vec<LimitStatus>,
    /// The status of limits that apply to single models.
    pub model_limits: Vec<ModelLimits>,
    /// The models for which the key is not available.
    pub models: Vec<ModelSnapshot>,
    /// The last check of the key, if it was checked.
    #[serde(default)]
    pub last_check: Option<KeyCheck>,
}

/// The state of a key for one model at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelSnapshot {
    /// The model.
    pub model: ModelId,
    /// The state of the key for this model.
    pub state: KeyState,
    /// Whether an operator has [forced](crate::KeyPool::cool_down) the cooldown that the key is in for this model.
    #[serde(default)]
    pub forced: bool,
    /// The time at which the state began; `None` if that is unknown.
    pub since: Option<Timestamp>,
    /// The time at which the state ends by itself; `None` if it does not.
    pub until: Option<Timestamp>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// The key may be used, if only for a probe.
    Available,
    /// An operator has disabled the key.
    Disabled,
    /// The provider does not permit the key to do this.
    Forbidden,
    /// The key is unknown, revoked, or expired, or its account is closed.
    Invalid,
    /// A single attempt is in flight to find out whether the key has recovered.
    Probing,
    /// The quota or balance is used up.
    QuotaExceeded,
    /// The rate limit is used up, or an operator has forced a cooldown.
    RateLimited,
}

/// Returns the state of all keys of a set.
pub(in crate::pool) fn snapshot(set: &KeySet, now: Timestamp) -> PoolSnapshot {
    let model_states = set.common.models.all();
    let keys = set.live().map(|key| key_snapshot(set, &model_states, key, now));
    PoolSnapshot {
        provider: set.common.provider.name().to_owned(),
        at: now,
        keys: keys.collect(),
        models: limits::usage(&model_states, now),
    }
}

fn key_snapshot(
    set: &KeySet,
    model_states: &[std::sync::Arc<ModelState>],
    key: usize,
    now: Timestamp,
) -> KeySnapshot {
    let candidate = Candidate::new(set, None, key);
    let entry = candidate.key();
    let counts = entry.stats.counts();
    let found = match timestamp(entry.disabled_since()) {
        None => found(candidate, Level::OF_KEY, now),
        since => Found { state: KeyState::Disabled, forced: false, since, until: None },
    };
    let models = model_states.iter().filter_map(|model_state| {
        let candidate = Candidate::new(set, Some(model_state), key);
        let found = self::found(candidate, Level::OF_MODEL, now);
        let Found { state, forced, since, until } = found;
        let model = || model_state.model.clone();
        (state != KeyState::Available).then(|| ModelSnapshot { model: model(), state, forced, since, until })
    });
    KeySnapshot {
        id: entry.id.clone(),
        account: set.accounts[candidate.account].id.clone(),
        account_number: candidate.account,
        account_learned: candidate.account != entry.account.home(),
        tier: entry.spec.declared_tier(),
        state: found.state,
        forced: found.forced,
        since: found.since,
        until: found.until,
        last_used: timestamp(counts.last_used),
        calls: counts.calls,
        successes: counts.successes,
        faults: counts.faults,
        consecutive_faults: counts.consecutive_faults,
        in_flight: entry.stats.in_flight(),
        usage: entry.usage_counters.usage(now),
        limits: statuses(candidate, Level::OF_KEY, Moment::now()),
        model_limits: by_model(candidate, model_states, Moment::now()),
        models: models.collect(),
        last_check: entry.last_check.get(),
    }
}

struct Found {
    state: KeyState,
    forced: bool,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Returns the state of the scope with the longer cooldown.
fn found(candidate: Candidate<'_>, levels: [Level; 2], now: Timestamp) -> Found {
    let closed = |level: &Level| candidate.state(*level).is_closed(now.as_unix_ms());
    let level = levels.into_iter().filter(closed).max_by_key(|level| candidate.state(*level).until);
    let since = timestamp(level.and_then(|level| candidate.slot(level)).map_or(0, Slot::since));
    let Some(state) = level.map(|level| candidate.state(level)) else {
        if let Some(held) = held(candidate, levels, now) {
            return held;
        }
        if let Some(used_up) = used_up(candidate, levels, now) {
            return used_up;
        }
        let latest = levels.into_iter().filter_map(|level| Some(candidate.slot(level)?.since())).max();
        let since = timestamp(latest.unwrap_or(0));
        return Found { state: KeyState::Available, forced: false, since, until: None };
    };
    let until = Some(state.until).filter(|until| *until > now.as_unix_ms() && *until < FOREVER);
    let forced = state.cause == Some(Cause::Forced) && until.is_some();
    Found { state: KeyState::of(state, now), forced, since, until: until.map(Timestamp::from_unix_ms) }
}

/// Returns the state of a key that is held back because others of its kind were refused.
fn held(candidate: Candidate<'_>, levels: [Level; 2], now: Timestamp) -> Option<Found> {
    let shared_limit = candidate.shared_limits()[usize::from(levels[0].is_model())];
    let until = match candidate.held(shared_limit, now.as_unix_ms())? {
        CanaryGate::Held(until) => until?,
        CanaryGate::Open | CanaryGate::Canary => return None,
    };
    let cause = shared_limit?.cause()?;
    let state = State { until, cause: Some(cause), ..State::default() };
    (until > now.as_unix_ms()).then(|| Found {
        state: KeyState::of(state, now),
        forced: false,
        since: None,
        until: timestamp(until),
    })
}

/// Returns the state of a key with used-up limits.
fn used_up(candidate: Candidate<'_>, levels: [Level; 2], now: Timestamp) -> Option<Found> {
    let until = levels.into_iter().map(|level| candidate.limit(level)).max().and_then(Bar::until)?;
    let left = Timestamp::from_unix_ms(until).saturating_since(now);
    let state = if left < QUOTA { KeyState::RateLimited } else { KeyState::QuotaExceeded };
    (!left.is_zero()).then(|| Found { state, forced: false, since: None, until: timestamp(until) })
}

/// Limits that are back within this time are reported as a rate limit, others as a quota: 1 h.
const QUOTA: Duration = Duration::from_secs(60 * 60);

fn timestamp(ms: u64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_unix_ms(ms))
}

// === impl KeyState ===

impl KeyState {
    #[cfg(feature = "metrics")]
    pub(in crate::pool) const ALL: [Self; 7] = [
        Self::Available,
        Self::Disabled,
        Self::Forbidden,
        Self::Invalid,
        Self::Probing,
        Self::QuotaExceeded,
        Self::RateLimited,
    ];

    /// Returns the name in snapshots.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Disabled => "disabled",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Probing => "probing",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
        }
    }

    const fn of(state: State, now: Timestamp) -> Self {
        if state.probing && state.until <= now.as_unix_ms() {
            return Self::Probing;
        }
        match state.cause {
            None => Self::Available,
            Some(Cause::RateLimited | Cause::Guessed | Cause::Paced | Cause::Forced) => Self::RateLimited,
            Some(Cause::QuotaExceeded) => Self::QuotaExceeded,
            Some(Cause::Invalid) => Self::Invalid,
            Some(Cause::Forbidden) => Self::Forbidden,
        }
    }
}

impl std::fmt::Display for KeyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
