//! The request extensions that an app around the gateway may add.

use http::Extensions;
use tower_key_rotation::event::CallerName;
use tower_key_rotation::fallback::Commit;
use tower_key_rotation::{Deadline, Home, ModelId, ProviderPin, Session};

use crate::trace::Tries;

/// Returns the extensions of an app around the gateway that the layers read, and the tries of a trace. The others would be cloned for every
/// attempt.
pub(crate) fn for_layers(given: &mut Extensions) -> Extensions {
    fn take<T: Clone + Send + Sync + 'static>(from: &mut Extensions, to: &mut Extensions) {
        if let Some(value) = from.remove::<T>() {
            to.insert(value);
        }
    }
    let mut kept = Extensions::new();
    if !given.is_empty() {
        take::<CallerName>(given, &mut kept);
        take::<Commit>(given, &mut kept);
        take::<Deadline>(given, &mut kept);
        take::<Home>(given, &mut kept);
        take::<ModelId>(given, &mut kept);
        take::<ProviderPin>(given, &mut kept);
        take::<Session>(given, &mut kept);
        take::<Tries>(given, &mut kept);
    }
    kept
}
