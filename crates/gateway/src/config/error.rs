//! Errors of configurations.
//!
//! No error shows a value that might be a secret: names are shown if they are short and do not look like
//! keys, and are replaced by `[withheld]` otherwise. The errors of the parsers quote the whole line, so
//! values are removed from their text and they are not kept as sources.

use std::fmt;
use std::io;
use std::net::AddrParseError;
use std::path::PathBuf;

use http::HeaderName;

use crate::config::place::{Place, Steps};
use tower_key_rotation::key::{InvalidName, InvalidSecret};
use tower_key_rotation::pool::BuildError;

/// A configuration that cannot be used: the [problem](Problem) and its [place](Place).
///
/// It is displayed as one line that begins with the place: `gateway.toml:12:8: provider[1].base_url: …`. It
/// never contains a secret.
pub struct ConfigError(Box<Inner>);

struct Inner {
    place: Place,
    problem: Problem,
}

/// The kind of problem in a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("the file can't be read")]
    Read(#[source] io::Error),
    /// The name of the file does not show its format. Set one with [`Loader::format`](crate::config::Loader::format).
    #[error("the name ends neither in .toml nor in .json: say with `Loader::format` which it is")]
    UnknownFormat,
    /// The text is not valid in its format, has an unknown or a repeated field, lacks a field, or has a value
    /// of a wrong type.
    #[error("{message}")]
    Malformed {
        /// Message of the parser, without any value of the file.
        message: String,
    },
    /// There is no provider.
    #[error("no [[provider]]: there must be at least one")]
    NoProvider,
    /// A name of a provider cannot be part of a path, or the `id` of a key is empty.
    #[error("not a name: use letters, digits, `-`, `_` and `.`, and at least one of them")]
    Name,
    /// A provider has the name of a path of the gateway.
    #[error("a provider can't be named {name}: /{name}/ is a path of the gateway; give it another `name`")]
    ReservedName {
        /// Name of the provider.
        name: &'static str,
    },
    /// Two providers have the same name.
    #[error("two providers are named {name}: give each a name of its own")]
    DuplicateProvider {
        /// Name of the providers.
        name: String,
    },
    /// Two keys of a provider have the same name.
    #[error("two keys are named {id}: give each a name of its own")]
    DuplicateKey {
        /// Name of the keys.
        id: String,
    },
    /// Two keys of a provider have the same secret.
    #[error("the keys {first} and {second} have the same secret: remove one")]
    DuplicateSecret {
        /// Name of the first key.
        first: String,
        /// Name of the second key.
        second: String,
    },
    /// A provider has no key.
    #[error("no key{}", Searched(.searched, .faults))]
    NoKeys {
        /// Variables that were searched, with `*` for a number; empty if none was.
        searched: Vec<String>,
        /// Variables that were found, each with the reason why it has no key.
        faults: Vec<String>,
    },
    /// The order of the chain is empty.
    #[error("the order is empty: name at least one provider, or leave it out to have all")]
    EmptyOrder,
    /// The chain names a provider that does not exist.
    #[error("no provider is named {name}; there is {}", .known.join(", "))]
    UnknownProvider {
        /// Name in the chain.
        name: String,
        /// Names of the existing providers.
        known: Vec<String>,
    },
    /// The chain names a provider twice.
    #[error("{name} is in the order twice")]
    RepeatedProvider {
        /// Name of the provider.
        name: String,
    },
    /// The address to listen on is invalid.
    #[error("not an address: write `127.0.0.1:8787`, or `0.0.0.0:8787` to be reached from elsewhere")]
    Address(#[source] AddrParseError),
    /// A base URL is invalid.
    #[error("not a base URL, {reason}: write `https://host/path`")]
    Url {
        /// Reason for which the URL is invalid.
        reason: &'static str,
    },
    /// A duration is invalid or zero.
    #[error("not a length of time: write `500ms`, `60s` or `1m30s`")]
    Duration,
    /// A duration is longer than a day.
    #[error("a length of time of more than a day: write `500ms`, `60s` or `1m30s`")]
    LongDuration,
    /// An upper bound of a duration is below its lower bound.
    #[error("the upper bound is below the lower bound")]
    Backoff,
    /// A percentage is above 100.
    #[error("not a percentage: write a whole number from 1 to 100")]
    Percent,
    /// A host name is invalid.
    #[error("not a host: write `gateway.internal` or `192.168.1.5`, without a scheme and a port")]
    Host,
    /// A value is none of the accepted words.
    #[error("write one of {}", .allowed.join(", "))]
    Choice {
        /// Words that are accepted.
        allowed: &'static [&'static str],
    },
    /// The dialect of a provider is unknown.
    #[error("an unknown dialect: write openai, anthropic, gemini, the name of another preset, or compatible")]
    UnknownDialect,
    /// A provider has no dialect, and its name is not that of a preset.
    #[error("the name is no preset's, so there must be a `dialect`")]
    MissingDialect,
    /// The name of a model is empty, or has a control or an invisible character.
    #[error("the name of a model is empty, or has a control or an invisible character")]
    Model,
    /// The name of a header is invalid.
    #[error("not the name of a header: write `x-session-id`, or another name of letters, digits and `-`")]
    HeaderName,
    /// A header is needed on requests and cannot be used as the affinity header.
    #[error("{name} has a use of its own and would be taken off requests: name a header of your own")]
    ReservedHeader {
        /// Name of the header.
        name: HeaderName,
    },
    /// The warning thresholds are more than eight, or one is not above 0 and at most 1.
    #[error("not a share of a limit: write at most eight numbers above 0 and up to 1")]
    Share,
    /// A limit has no amount.
    #[error("it limits nothing: write `requests_per_minute`, `tokens_per_day`, `concurrent` or the like")]
    NoLimit,
    /// A limit has a burst and no amount per second or per minute.
    #[error("a burst of nothing: it is for what is limited per second or per minute")]
    BurstOfNothing,
    /// A limit has a reset and no amount per day.
    #[error("a reset of nothing: it is for what is limited per day")]
    ResetOfNothing,
    /// The reset of a daily limit is invalid.
    #[error("write `utc`, `pacific`, `rolling`, or a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`")]
    Reset,
    /// A limit names an account that no key belongs to.
    #[error("no key is of the account {name}; {}", Known(.known))]
    UnknownAccount {
        /// Name of the account.
        name: String,
        /// Accounts that keys belong to.
        known: Vec<String>,
    },
    /// A limit of a key names an account.
    #[error("a key's own limit is of no account: write it as a [[provider.limit]]")]
    AccountOfKey,
    /// The `id` or `account` of a key must not be shown.
    #[error("not a name for a key: {0}")]
    KeyName(#[source] InvalidName),
    /// The value of `keys_env` cannot be a prefix of variable names.
    #[error(
        "not what variables begin with: write `OPENAI` to find OPENAI_API_KEY, OPENAI_API_KEY_1 and so on"
    )]
    Prefix,
    /// A text looks like a reference to a secret and is not one.
    #[error(
        "this looks like a reference to a secret: write `env:NAME` or `file:PATH`, in lower case and with nothing before it"
    )]
    Reference,
    /// The text behind `env:` cannot be the name of a variable.
    #[error("what follows `env:` is not the name of a variable")]
    VariableName,
    /// An environment variable is not set.
    #[error("the environment variable {name} is not set")]
    MissingVariable {
        /// Name of the variable; `[withheld]` if it may be a secret.
        name: String,
    },
    /// The file of a secret cannot be read.
    #[error("the secret file {} can't be read", .path.display())]
    SecretFile {
        /// Path of the file; `[withheld]` if it may contain a secret.
        path: PathBuf,
        /// Error of reading the file.
        source: io::Error,
    },
    /// A text cannot be a key or a token.
    #[error("not a secret")]
    Secret(#[source] InvalidSecret),
    /// A token is too short and therefore easy to guess.
    #[error(
        "a token of fewer than {least} characters: make a longer one, with `openssl rand -hex 24` for instance"
    )]
    ShortToken {
        /// Minimum number of characters.
        least: usize,
    },
    /// The keys cannot form a pool.
    #[error("the keys make no pool")]
    Pool(#[source] BuildError),
}

struct Searched<'a>(&'a [String], &'a [String]);

struct Known<'a>(&'a [String]);

// === impl ConfigError ===

impl ConfigError {
    pub(super) fn new(place: Place, problem: Problem) -> Self {
        Self(Box::new(Inner { place, problem }))
    }

    /// Returns the place of the problem.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns the problem.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    pub(super) fn place_mut(&mut self) -> &mut Place {
        &mut self.0.place
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { place, problem } = &*self.0;
        write!(f, "{place}: {problem}")
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { place, problem } = &*self.0;
        f.debug_struct("ConfigError").field("place", place).field("problem", problem).finish()
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}

impl Problem {
    pub(super) fn at(self, path: Steps) -> ConfigError {
        ConfigError::new(Place { path, ..Place::default() }, self)
    }
}

impl fmt::Display for Searched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self([], _) => f.write_str(": add a [[provider.key]], or `keys_env`"),
            Self(searched, []) => {
                write!(f, ": set one of {}, or add a [[provider.key]]", searched.join(", "))
            }
            Self(searched, faults) => {
                write!(f, ": {}. Searched: {}", faults.join("; "), searched.join(", "))
            }
        }
    }
}

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("give a [[provider.key]] its `account`");
        }
        write!(f, "there is {}", self.0.join(", "))
    }
}
