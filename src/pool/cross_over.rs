//! A lease that concerns another model, or another account, than it was given for.

use std::sync::Arc;

use super::Lease;
use super::admit::{Passes, Trials, hand_back};
use super::models::ModelLane;
use super::place::Level;
use super::slot::Pass;
use crate::classify::Scope;
use crate::clock::Timestamp;
use crate::provider::ModelId;

impl Lease {
    /// The level that a scope means for this key; creates the model's lane if need be.
    pub(super) fn level(&mut self, scope: Scope, model: Option<&ModelId>, now: Timestamp) -> Option<Level> {
        let level = match scope {
            Scope::Key => Level::Key,
            Scope::Account => Level::Account,
            Scope::KeyModel => model.map_or(Level::Key, |_| Level::KeyModel),
            Scope::AccountModel => model.map_or(Level::Account, |_| Level::AccountModel),
            Scope::None | Scope::Provider | Scope::ProviderModel => return None,
        };
        if let (Level::KeyModel | Level::AccountModel, Some(model)) = (level, model) {
            self.enter(self.set.new_lane(model, now));
        }
        Some(level)
    }

    /// Goes over to the lane of the model at fault, where that is not the one the key was leased for: the
    /// caller knew no model or another, or the lane was forgotten and has come anew.
    pub(super) fn enter(&mut self, lane: Arc<ModelLane>) {
        if self.lane.as_ref().is_some_and(|own| Arc::ptr_eq(own, &lane)) {
            return;
        }
        let [_, trial] = std::mem::take(&mut self.trials);
        hand_back(self.place(), Passes::default(), [false, trial], self.began.as_unix_ms());
        self.exchange(Level::OF_MODEL, |lease| lease.lane = Some(lane));
    }

    /// Goes over to the account where the key lives by now: what it is refused for concerns that one.
    pub(super) fn move_along(&mut self) {
        let present = self.place().key().account.present();
        if present != self.account {
            self.exchange(Level::OF_ACCOUNT, |lease| lease.account = present);
        }
    }

    /// Leaves the slots of these levels for those that they are after the change.
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

    /// The pass of a level; from now on a probe is the caller's.
    pub(super) fn take(&mut self, level: Level) -> Pass {
        let pass = &mut self.passes[level as usize];
        std::mem::replace(pass, Pass { probe: false, ..*pass })
    }
}
