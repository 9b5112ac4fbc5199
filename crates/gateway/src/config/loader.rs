//! The loader, which reads and checks a configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::error::{ConfigError, Problem};
use crate::config::file::ConfigFile;
use crate::config::format::Format;
use crate::config::known_source::KnownSource;
use crate::config::location::{Location, ValuePath};
use crate::config::read_file::{self, ReadFile};
use crate::config::secret::Sources;
use crate::config::warning::Warning;
use crate::config::{Config, resolve};
use tower_key_rotation::event::Events;

/// Reads and checks configurations; see the [module docs](super) for the format.
///
/// All problems are found here, before the first request. The loader reads files and therefore blocks.
///
/// ```
/// use tower_key_rotation_gateway::config::{Format, Loader};
///
/// let text = r#"{"provider": [{"name": "openai", "base_url": "https://api.openai.com/v1", "keys_env": "OPENAI"}]}"#;
/// let config = Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(text, Format::Json)?;
/// assert_eq!(config.chain().order(), ["openai"]);
/// # Ok::<(), tower_key_rotation_gateway::config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "call `load` or `parse`"]
pub struct Loader {
    vars: Option<BTreeMap<String, String>>,
    format: Option<Format>,
    directory: Option<PathBuf>,
    events: Option<Events>,
    known_sources: Vec<KnownSource>,
}

// === impl Loader ===

impl Loader {
    /// Creates a loader that takes variables from the environment of the process and the format from the
    /// file's name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the variables, in place of the environment of the process.
    pub fn vars<N, V>(mut self, vars: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        self.vars = Some(vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// Sets the format of files. Default: by the extension of the file's name.
    pub const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the directory to which paths of secrets are relative. Default: the directory of the file; without
    /// a file, that of the process.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Lets configurations follow this one: with its event hub, and with those of its sources of secrets that have the
    /// same definition.
    pub(crate) fn following(mut self, config: &Config) -> Self {
        self.events = Some(config.events.clone());
        self.known_sources = config.known_sources.clone();
        self
    }

    /// Loads a configuration from a file.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] with the problem and its place.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Config, ConfigError> {
        let path = path.as_ref();
        let in_file = |mut error: ConfigError| {
            error.location_mut().file = Some(path.to_owned());
            error
        };
        let problem = |problem| in_file(ConfigError::new(Location::default(), problem));
        let format =
            self.format.or_else(|| Format::of(path)).ok_or_else(|| problem(Problem::UnknownFormat))?;
        let text = read_file::read(path).map_err(|error| problem(Problem::Read(error)))?;
        let text = String::from_utf8(text).map_err(|_| problem(Problem::Encoding))?;
        let directory = self.directory.clone().or_else(|| path.parent().map(Path::to_owned));
        let sources = self.sources(directory.unwrap_or_default(), Some(path));
        sources.read.borrow_mut().push(ReadFile::new(path, &text));
        self.read(&text, format, &sources).map_err(in_file)
    }

    /// Loads a configuration from a text in the given format.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] with the problem and its place.
    pub fn parse(&self, text: &str, format: Format) -> Result<Config, ConfigError> {
        self.read(text, format, &self.sources(self.directory.clone().unwrap_or_default(), None))
    }

    /// Checks a configuration that was read as a part of something else.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`], whose place has a path and no position.
    pub fn resolve(&self, file: ConfigFile) -> Result<Config, ConfigError> {
        self.resolved(file, &self.sources(self.directory.clone().unwrap_or_default(), None))
    }

    fn read(&self, text: &str, format: Format, sources: &Sources) -> Result<Config, ConfigError> {
        let file = format.parse(text)?;
        self.resolved(file, sources).map_err(|mut error| {
            if format == Format::Toml {
                error.location_mut().position = error.location().path.find_in_toml(text);
            }
            error
        })
    }

    fn resolved(&self, file: ConfigFile, sources: &Sources) -> Result<Config, ConfigError> {
        let config = resolve::config(file, sources, self.events.clone().unwrap_or_default())?;
        if config.stores().file().is_some_and(|state| read_file::is_any_of(state, config.files())) {
            return Err(Problem::StateFile.at(ValuePath::default().field("state_file")));
        }
        config.warnings().iter().for_each(Warning::log);
        Ok(config)
    }

    fn sources(&self, directory: PathBuf, file: Option<&Path>) -> Sources {
        Sources {
            vars: self.vars.clone().unwrap_or_else(environment),
            directory,
            file: file.map(Path::to_owned),
            warnings: RefCell::default(),
            read: RefCell::default(),
            before: self.known_sources.clone().into(),
            found: RefCell::default(),
        }
    }
}

fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(text).collect()
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vars, format, directory, events: _, known_sources: _ } = self;
        f.debug_struct("Loader")
            .field("vars", &vars.as_ref().map(BTreeMap::len))
            .field("format", format)
            .field("directory", directory)
            .finish_non_exhaustive()
    }
}
