//! What is no error in a configuration, and dangerous.

use std::fmt;
use std::path::{Path, PathBuf};

use super::place::Steps;
use super::shown::shown_path;

/// A part of a configuration that can be used and exposes keys. Shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    path: Steps,
    risk: Risk,
}

/// What exposes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Risk {
    /// A base URL with `http` whose host is not of the own machine or a private network: keys are sent in the
    /// clear.
    ClearText {
        /// The host.
        host: String,
    },
    /// A file with a secret that any user of the machine can read.
    ReadableByOthers {
        /// The file.
        file: PathBuf,
    },
}

// === impl Warning ===

impl Warning {
    pub(super) const fn new(path: Steps, risk: Risk) -> Self {
        Self { path, risk }
    }

    /// The value it is about: `provider[1].base_url`. Empty for the file as a whole.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// What exposes keys.
    pub const fn risk(&self) -> &Risk {
        &self.risk
    }

    pub(super) fn say(&self) {
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
                write!(f, "keys are sent to {host} in the clear: write `https://`")
            }
            Risk::ReadableByOthers { file } => {
                let file = shown_path(file);
                write!(f, "any user can read the secret in {file}: take the right away (`chmod 600`)")
            }
        }
    }
}

/// Whether any user of the machine can read a file.
#[cfg(unix)]
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(super) const fn is_readable_by_others(_: &Path) -> bool {
    false
}
