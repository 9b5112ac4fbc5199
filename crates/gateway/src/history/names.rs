//! The names of models that have statistics of their own.

use std::collections::HashSet;

use tower_key_rotation::ModelId;

/// The models that a provider has served, at most 256.
#[derive(Default)]
pub(super) struct ModelNames {
    served: HashSet<ModelId>,
    other: Option<ModelId>,
    unknown: Option<ModelId>,
}

/// Maximum number of names, as for the labels of metrics.
const MAX_NAMES: usize = 256;

// === impl ModelNames ===

impl ModelNames {
    /// Adds a model that a provider has served.
    pub(super) fn serve(&mut self, model: Option<&ModelId>) {
        if let Some(model) = model
            && self.served.len() < MAX_NAMES
            && !self.served.contains(model)
        {
            self.served.insert(model.clone());
        }
    }

    /// Returns the name under which a model is counted.
    pub(super) fn of(&mut self, model: Option<&ModelId>) -> ModelId {
        match model {
            Some(model) if self.served.contains(model) => model.clone(),
            Some(_) => self.other.get_or_insert_with(|| "other".into()).clone(),
            None => self.unknown.get_or_insert_with(|| "unknown".into()).clone(),
        }
    }
}
