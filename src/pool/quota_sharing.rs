//! Sharing declared limits with other instances: the demands of a pool, and grants for them.
//!
//! A store calls [`LimitSharing::demands`] from time to time, passes the demands on, and gives the grants to
//! [`LimitSharing::grant`]. Between two conversations each instance takes no more than it was granted, so that
//! all of them stay within a limit and no request asks the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::clock::Moment;
use crate::limits::{GaugeDemand, GaugeName, Grant, Ledger, Others, Sharing, WindowName, shared};
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::share::locked;
use crate::pool::state::adopt::meet;
use crate::pool::state::owner::Owner;
use crate::pool::state::present::{Present, levels};
use crate::pool::state::replica::Replica;
use crate::provider::ModelId;

/// A pool whose declared limits are shared. They are the instance's own again when this value is dropped.
pub(crate) struct LimitSharing {
    pool: KeyPool,
    sharing: Arc<Sharing>,
}

/// A demand, with the name of its limit.
#[derive(Clone, Debug)]
pub(crate) struct NamedDemand {
    /// The name of the limit and its window, equal in all instances.
    pub(crate) name: String,
    owner: Owner,
    model: Option<ModelId>,
    pub(crate) of: GaugeDemand,
}

/// One scope with known limits, as a visit shows it.
struct Scope<'a> {
    candidate: Candidate<'a>,
    level: Level,
    ledger: &'a Ledger,
}

// === impl LimitSharing ===

impl LimitSharing {
    /// Begins to share the limits of a pool. Each limit is the instance's own until its first grant.
    pub(crate) fn begin(pool: &KeyPool) -> Self {
        let sharing = Arc::<Sharing>::default();
        pool.0.common.sharing.store(Some(Arc::clone(&sharing)));
        Self { pool: pool.clone(), sharing }
    }

    /// Begins to share the limits of a pool whose store is perhaps away: an equal part of each is the instance's until its
    /// first grant.
    pub(crate) fn begin_among(pool: &KeyPool, instances: u64) -> Self {
        let this = Self::begin(pool);
        this.sharing.set_instances(instances, instances);
        this.each_scope(|ledger, now| {
            shared::share(ledger, &this.sharing, true, now);
            false
        });
        this
    }

    /// Returns the link, which knows the validity of grants.
    pub(crate) const fn link(&self) -> &Arc<Sharing> {
        &self.sharing
    }

    /// Returns the random id under which the pool counts.
    pub(crate) fn instance(&self) -> String {
        locked(&self.pool).instance.into()
    }

    /// Returns the demands of this moment. `others` has the state of the other instances by the name of a limit;
    /// `by_default` is their state at all further ones.
    pub(crate) fn demands(&self, others: &HashMap<String, Others>, by_default: Others) -> Vec<NamedDemand> {
        let (set, now) = (self.pool.0.set.load_full(), Moment::now());
        let replica = &mut *locked(&self.pool);
        replica.follow_clock();
        let (clock, present, mut demands) = (replica.clock, meet(replica, &set, now), Vec::new());
        visit(&set, &present, |scope| {
            shared::share(scope.ledger, &self.sharing, false, now);
            // Requests wait for the ledger, so names are made while it is not locked.
            let name = |gauge: &GaugeName, window| name(replica, &present, &scope, gauge, window);
            let is_known = |(gauge, window)| name(&gauge, window).and_then(|name| others.get(&name).copied());
            let known: Vec<_> = if others.is_empty() {
                Vec::new()
            } else {
                shared::windows(scope.ledger, clock, now).into_iter().map(is_known).collect()
            };
            let others = |index: usize| known.get(index).copied().flatten().unwrap_or(by_default);
            for of in shared::demands(scope.ledger, others, clock, now) {
                let (owner, model) = (present.owner(scope.candidate, scope.level), scope.model());
                let named = owner.zip(name(&of.name, of.window));
                demands.extend(named.map(|(owner, name)| NamedDemand { name, owner, model, of }));
            }
        });
        demands
    }

    /// Takes over grants, and wakes requests that waited for them.
    pub(crate) fn grant(&self, grants: impl IntoIterator<Item = (NamedDemand, Grant)>) {
        let (set, now) = (self.pool.0.set.load_full(), Moment::now());
        let present = meet(&mut locked(&self.pool), &set, now);
        let mut has_more = false;
        for (demand, grant) in grants {
            let (Some(key), (of_key, of_model)) = (present.key(&demand.owner), levels(&demand.owner)) else {
                continue;
            };
            let lane = demand.model.as_ref().and_then(|model| set.common.models.get(model));
            if lane.is_some() != demand.model.is_some() {
                continue;
            }
            let level = if lane.is_some() { of_model } else { of_key };
            let candidate = Candidate::new(&set, lane.as_deref(), key);
            let Some(ledger) = candidate.ledger(level) else { continue };
            if shared::grant(ledger, (&demand.of.name, &demand.of.demand), grant, now) {
                sync(&Scope { candidate, level, ledger }, now);
                has_more = true;
            }
        }
        if has_more {
            set.common.released.tell();
        }
    }

    /// Goes on without the store: grants an equal part of what the other instances do not hold.
    pub(crate) fn go_alone(&self) {
        self.sharing.go_alone();
        self.each_scope(shared::go_alone);
    }

    /// Changes each ledger, and wakes requests if one has more room then.
    fn each_scope(&self, change: impl Fn(&Ledger, Moment) -> bool) {
        let (set, now, mut has_more) = (self.pool.0.set.load_full(), Moment::now(), false);
        let present = meet(&mut locked(&self.pool), &set, now);
        visit(&set, &present, |scope| {
            if change(scope.ledger, now) {
                sync(&scope, now);
                has_more = true;
            }
        });
        if has_more {
            set.common.released.tell();
        }
    }
}

impl Drop for LimitSharing {
    fn drop(&mut self) {
        self.pool.0.common.sharing.store(None);
        self.each_scope(|ledger, _| {
            shared::unshare(ledger);
            true
        });
    }
}

// === impl Scope ===

impl Scope<'_> {
    fn model(&self) -> Option<ModelId> {
        self.candidate.model_at(self.level)
    }
}

/// Shows each scope with known limits once, except limits that models of several names have in common: these
/// are counted by each instance alone, because the names differ between instances.
fn visit(set: &KeySet, present: &Present, mut show: impl FnMut(Scope<'_>)) {
    let (models, mut known) = (set.common.models.all(), HashSet::new());
    let is_own =
        |lane: &&Arc<ModelState>| lane.ledgers.group.is_none() && known.insert(Arc::as_ptr(&lane.ledgers));
    let lanes: Vec<_> = models.iter().filter(is_own).collect();
    for lane in std::iter::once(None).chain(lanes.into_iter().map(|lane| Some(&**lane))) {
        let levels = if lane.is_some() { Level::OF_MODEL } else { Level::OF_KEY };
        let mut accounts = HashSet::new();
        for &(key, _) in &present.keys {
            let candidate = Candidate::new(set, lane, key);
            let is_first = accounts.insert(candidate.account);
            for level in levels.into_iter().filter(|level| is_first || !Level::OF_ACCOUNT.contains(level)) {
                if let Some(ledger) = candidate.ledger(level) {
                    show(Scope { candidate, level, ledger });
                }
            }
        }
    }
}

/// Brings the ready bits in line with a scope that has more room.
fn sync(scope: &Scope<'_>, now: Moment) {
    let Scope { candidate, level, .. } = *scope;
    let Some(lane) = candidate.model else { return candidate.sync(level, now.as_unix_ms()) };
    for other in candidate.set.common.models.all() {
        if Arc::ptr_eq(&other.ledgers, &lane.ledgers) {
            Candidate { model: Some(&other), ..candidate }.sync(level, now.as_unix_ms());
        }
    }
}

/// Returns the name of a limit in a window, since the last reset by an operator.
fn name(
    replica: &Replica,
    present: &Present,
    scope: &Scope<'_>,
    gauge: &GaugeName,
    WindowName(window): WindowName,
) -> Option<String> {
    // An account that several keys have shown has the name of the first one in every instance.
    let owner = present.aliases(scope.candidate.set, scope.candidate, scope.level).into_iter().next()?;
    let model = scope.model().map(|model| ModelId::from(model.as_str().to_ascii_lowercase()));
    let generation = replica.recount_of(&owner, model.as_ref());
    let gauge = serde_json::to_string(gauge).ok()?;
    let model = model.as_ref().map_or("", ModelId::as_str);
    Some(format!("{}:{gauge}:{generation}:{window}:{model}", String::from(owner)))
}
