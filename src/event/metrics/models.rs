//! The model names that may be used as labels.
//!
//! Callers choose model names, and recorders keep every label forever. So a name becomes a label only when a
//! provider has served the model, or when an operator has declared a limit for it. Names that callers make up
//! are counted as `other`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use metrics::SharedString;

use crate::event::metrics::{LONGEST_MODEL, MODELS, label};
use crate::provider::ModelId;

/// The models with labels. None is ever removed, because recorders keep their labels too.
#[derive(Default)]
pub(in crate::event) struct Models(Mutex<LabelledModels>);

#[derive(Default)]
struct LabelledModels {
    /// Declared by operators, without a maximum.
    declared: HashSet<ModelId>,
    /// Served by providers, at most [`MODELS`].
    served: HashSet<ModelId>,
}

// === impl Models ===

impl Models {
    pub(in crate::event) fn declare(&self, models: impl IntoIterator<Item = ModelId>) {
        self.with(|names| names.declared.extend(models));
    }

    /// Records that a provider has served the model.
    pub(super) fn serve(&self, model: Option<&ModelId>) {
        let Some(model) = model.filter(|model| model.as_str().len() <= LONGEST_MODEL) else { return };
        self.with(|names| {
            if names.served.len() < MODELS && !names.has(model) {
                names.served.insert(model.clone());
            }
        });
    }

    /// Returns the label of a model.
    pub(super) fn label(&self, model: Option<&ModelId>) -> SharedString {
        match model {
            None => SharedString::const_str("unknown"),
            Some(model) if self.with(|names| names.has(model)) => label(model),
            Some(_) => SharedString::const_str("other"),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut LabelledModels) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LabelledModels {
    fn has(&self, model: &ModelId) -> bool {
        self.served.contains(model) || self.declared.contains(model)
    }
}
