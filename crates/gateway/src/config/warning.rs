//! Warnings: settings that are valid and dangerous.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::location::ValuePath;
use crate::config::redact::redacted_path;

/// A valid setting that exposes keys. Shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    path: ValuePath,
    risk: Risk,
}

/// The way in which a setting exposes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Risk {
    /// A base URL uses `http` and its host is neither the local machine nor in a private network: keys are
    /// sent in clear text.
    ClearText {
        /// Host of the base URL.
        host: String,
    },
    /// A file with a secret can be read by any user of the machine.
    ReadableByOthers {
        /// Path of the file.
        file: PathBuf,
    },
}

// === impl Warning ===

impl Warning {
    pub(super) const fn new(path: ValuePath, risk: Risk) -> Self {
        Self { path, risk }
    }

    /// Returns the path of the setting: `provider[1].base_url`. Empty for the file as a whole.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// Returns the way in which the setting exposes keys.
    pub const fn risk(&self) -> &Risk {
        &self.risk
    }

    pub(super) fn log(&self) {
        tracing::warn!(target: "tower_key_rotation", "{self}");
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        match &self.risk {
            Risk::ClearText { host } => {
                write!(f, "keys are sent to {host} in clear text: write `https://`")
            }
            Risk::ReadableByOthers { file } => {
                let file = redacted_path(file);
                write!(f, "any user can read the secret in {file}: remove the permission (`chmod 600`)")
            }
        }
    }
}

/// Returns whether any user of the machine can read a file.
#[cfg(unix)]
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(super) const fn is_readable_by_others(_: &Path) -> bool {
    false
}
