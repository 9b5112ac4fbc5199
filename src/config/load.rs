//! Finding, reading and checking a configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::file::File;
use super::format::Format;
use super::place::Place;
use super::secret::Sources;
use super::warning::Warning;
use super::{Config, resolve};

/// Reads configurations; see the [module docs](super) for an example.
///
/// Everything that is wrong is found here, before the first request. Reads files, and therefore blocks.
#[derive(Clone, Default)]
#[must_use = "call `load` or `parse`"]
pub struct Loader {
    vars: Option<BTreeMap<String, String>>,
    format: Option<Format>,
    directory: Option<PathBuf>,
}

// === impl Loader ===

impl Loader {
    /// Looks for variables in the environment of the process, and tells the format by the file's name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for variables here, and not in the environment of the process.
    pub fn vars<N, V>(mut self, vars: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        self.vars = Some(vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// The format, whatever the file's name is.
    pub const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Where relative paths of secrets start. Default: the folder of the file, and of the process for a
    /// text that is in none.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Loads a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which says what is wrong and where.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Config, ConfigError> {
        let path = path.as_ref();
        let in_file = |mut error: ConfigError| {
            error.place_mut().file = Some(path.to_owned());
            error
        };
        let problem = |problem| in_file(ConfigError::new(Place::default(), problem));
        let format =
            self.format.or_else(|| Format::of(path)).ok_or_else(|| problem(Problem::UnknownFormat))?;
        let text = std::fs::read_to_string(path).map_err(|error| problem(Problem::Read(error)))?;
        let directory = self.directory.clone().or_else(|| path.parent().map(Path::to_owned));
        let sources = self.sources(directory.unwrap_or_default(), Some(path));
        read(&text, format, &sources).map_err(in_file)
    }

    /// Takes a text in the format given.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which says what is wrong and where.
    pub fn parse(&self, text: &str, format: Format) -> Result<Config, ConfigError> {
        read(text, format, &self.sources(self.directory.clone().unwrap_or_default(), None))
    }

    /// Takes what was read as part of something else.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], whose place has a path and no position.
    pub fn resolve(&self, file: File) -> Result<Config, ConfigError> {
        resolved(file, &self.sources(self.directory.clone().unwrap_or_default(), None))
    }

    fn sources(&self, directory: PathBuf, file: Option<&Path>) -> Sources {
        Sources {
            vars: self.vars.clone().unwrap_or_else(environment),
            directory,
            file: file.map(Path::to_owned),
            warnings: RefCell::default(),
        }
    }
}

fn read(text: &str, format: Format, sources: &Sources) -> Result<Config, ConfigError> {
    let file = format.parse(text)?;
    resolved(file, sources).map_err(|mut error| {
        if format == Format::Toml {
            error.place_mut().position = error.place().path.find_in_toml(text);
        }
        error
    })
}

fn resolved(file: File, sources: &Sources) -> Result<Config, ConfigError> {
    let config = resolve::config(file, sources)?;
    config.warnings().iter().for_each(Warning::say);
    Ok(config)
}

fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(text).collect()
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vars, format, directory } = self;
        f.debug_struct("Loader")
            .field("vars", &vars.as_ref().map(BTreeMap::len))
            .field("format", format)
            .field("directory", directory)
            .finish()
    }
}
