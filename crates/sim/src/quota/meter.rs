//! The limits of one key or account, counted for each model.

use std::collections::HashMap;

use tokio::time::Instant;

use super::gauge::{Gauges, Headroom};
use super::limits::Limits;
use super::model_meter::ModelMeter;
use super::periods::Periods;
use crate::script::Refusal;

/// Maximum number of models counted. One more model drops the counts of all models, which start again full.
const MAX_MODELS: usize = 256;

/// The state of the limits of one key or account.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    limits_by_model: HashMap<String, Limits>,
    /// The empty name stands for all models that are counted together.
    models: HashMap<String, ModelMeter>,
    periods: Periods,
}

// === impl Meter ===

impl Meter {
    pub(crate) fn new(limits: Limits, limits_by_model: HashMap<String, Limits>, periods: Periods) -> Self {
        Self { limits, limits_by_model, models: HashMap::new(), periods }
    }

    /// Replaces the limits that apply to models without limits of their own. All limits start full.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.models.clear();
    }

    /// Returns the daily quota of every model.
    pub(crate) fn new_day(&mut self) {
        self.models.values_mut().for_each(ModelMeter::new_day);
    }

    pub(crate) fn headroom(&mut self, model: &str, now: Instant) -> Headroom {
        self.refilled(model, now).headroom()
    }

    /// Checks whether the limits allow the call. Takes nothing.
    pub(crate) fn check(&mut self, model: &str, tokens: u64, now: Instant) -> Result<(), Refusal> {
        self.refilled(model, now).check(tokens as f64)
    }

    /// Takes one request and `tokens` from the limits.
    pub(crate) fn charge(&mut self, model: &str, tokens: u64, now: Instant) {
        self.refilled(model, now).charge(tokens as f64);
    }

    pub(crate) fn gauges(&mut self, model: &str, now: Instant) -> Gauges {
        self.refilled(model, now).gauges(now)
    }

    fn refilled(&mut self, model: &str, now: Instant) -> &mut ModelMeter {
        let own = self.limits_by_model.get(model).copied();
        let limits = own.unwrap_or(self.limits);
        let name = if own.is_none() && limits.all_models_together { "" } else { model };
        if self.models.len() >= MAX_MODELS && !self.models.contains_key(name) {
            self.models.clear();
        }
        let periods = self.periods;
        let meter =
            self.models.entry(name.to_owned()).or_insert_with(|| ModelMeter::new(limits, periods, now));
        meter.refill(now);
        meter
    }
}
