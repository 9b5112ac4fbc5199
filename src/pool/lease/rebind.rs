//! Rebinding: moves a lease to another model or account than it was admitted for.

use std::sync::Arc;

use crate::classify::Scope;
use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::acquire::admit::{Passes, Trials, hand_back};
use crate::pool::keys::model::ModelLane;
use crate::pool::keys::refresh::new_lane;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::Pass;
use crate::provider::ModelId;

impl Lease {
    /// Returns the scope of a fault for this key. Creates the lane of the model if needed.
    pub(in crate::pool) fn level(
        &mut self,
        scope: Scope,
        model: Option<&ModelId>,
        now: Timestamp,
    ) -> Option<Level> {
        let level = match scope {
            Scope::Key => Level::Key,
            Scope::Account => Level::Account,
            Scope::KeyModel => model.map_or(Level::Key, |_| Level::KeyModel),
            Scope::AccountModel => model.map_or(Level::Account, |_| Level::AccountModel),
            Scope::None | Scope::Provider | Scope::ProviderModel => return None,
        };
        if let (Level::KeyModel | Level::AccountModel, Some(model)) = (level, model) {
            self.enter(new_lane(&self.set, model, now));
        }
        Some(level)
    }

    /// Moves the lease to the lane of the model at fault, if it holds another one: the caller did not know
    /// the model or named another one, or the lane was forgotten and created again.
    pub(in crate::pool) fn enter(&mut self, lane: Arc<ModelLane>) {
        if self.lane.as_ref().is_some_and(|own| Arc::ptr_eq(own, &lane)) {
            return;
        }
        let [_, trial] = std::mem::take(&mut self.trials);
        hand_back(self.place(), Passes::default(), [false, trial], self.began.as_unix_ms());
        self.exchange(Level::OF_MODEL, |lease| lease.lane = Some(lane));
    }

    /// Moves the lease to the present account of its key, which is the one that a refusal concerns.
    pub(in crate::pool) fn move_along(&mut self) {
        let present = self.place().key().account.present();
        if present != self.account {
            self.exchange(Level::OF_ACCOUNT, |lease| lease.account = present);
        }
    }

    /// Moves the lease from the slots of these scopes to the slots after the change.
    fn exchange(&mut self, levels: [Level; 2], change: impl FnOnce(&mut Self)) {
        let began = self.began.as_unix_ms();
        let mut left = Passes::default();
        for level in levels {
            left[level as usize] = self.take(level);
        }
        hand_back(self.place(), left, Trials::default(), began);
        levels.iter().for_each(|level| self.place().part(*level, &self.need, self.began));
        change(self);
        self.marks = None;
        levels.iter().for_each(|level| self.place().join(*level, &self.need, self.began));
        self.set.common.freed.tell();
        for level in levels {
            let pass = self.place().slot(level).map(|slot| slot.pass_from(began));
            self.passes[level as usize] = pass.unwrap_or_default();
        }
    }

    /// Takes the permit of a scope. From then on the caller is responsible for its probe.
    pub(in crate::pool) fn take(&mut self, level: Level) -> Pass {
        let pass = &mut self.passes[level as usize];
        std::mem::replace(pass, Pass { probe: false, ..*pass })
    }
}
