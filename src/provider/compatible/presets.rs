//! The list of presets. The page that states the facts of a row is its last argument.
//!
//! Names of variables and base URLs agree with <https://github.com/anomalyco/models.dev>, which checks them.
//! Beginnings of keys are those that secret scanners look for
//! (<https://github.com/trufflesecurity/trufflehog/tree/main/pkg/detectors>,
//! <https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml>).

mod asia;
mod clouds;
mod hosts;
mod labs;
mod local;
mod relays;

use crate::provider::preset::Preset;

/// Iterates over the presets of all files.
pub(super) fn all() -> impl Iterator<Item = &'static Preset> {
    let files: [&[Preset]; 6] =
        [&clouds::ROWS, &relays::ROWS, &hosts::ROWS, &labs::ROWS, &asia::ROWS, &local::ROWS];
    files.into_iter().flatten()
}
