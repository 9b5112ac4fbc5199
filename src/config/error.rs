//! What can be wrong with a configuration.
//!
//! No error shows a value that might be a secret: names are shown if they are short and do not look like keys,
//! else `[withheld]`. The errors of the parsers do, with the whole line, which
//! is why their text is cleared of values and they are not kept as sources.

use std::fmt;
use std::io;
use std::net::AddrParseError;
use std::path::PathBuf;

use http::HeaderName;

use super::place::{Place, Steps};
use crate::key::{InvalidName, InvalidSecret};
use crate::pool::BuildError;

/// A configuration that can't be used: what is wrong with it, and where.
///
/// Its text is one line with the place first: `gateway.toml:12:8: provider[1].base_url: …`. It never
/// contains a secret.
pub struct ConfigError(Box<Inner>);

struct Inner {
    place: Place,
    problem: Problem,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file can't be read.
    #[error("the file can't be read")]
    Read(#[source] io::Error),
    /// The file's name does not tell its format.
    #[error("the name ends neither in .toml nor in .json: say with `Loader::format` which it is")]
    UnknownFormat,
    /// It is not in its format, has a field that is unknown or twice, lacks one, or has a value of a wrong
    /// type.
    #[error("{message}")]
    Malformed {
        /// What the parser says, without any value of the file.
        message: String,
    },
    /// There is nothing to send requests to.
    #[error("no [[provider]]: there must be at least one")]
    NoProvider,
    /// A provider's name can't be part of a path.
    #[error("not a name: use letters, digits, `-`, `_` and `.`, and at least one of them")]
    Name,
    /// A provider's name is that of a path of the gateway.
    #[error("a provider can't be named {name}: /{name}/ is a path of the gateway; give it another `name`")]
    ReservedName {
        /// The name.
        name: &'static str,
    },
    /// Two providers have one name.
    #[error("two providers are named {name}: give each a name of its own")]
    DuplicateProvider {
        /// The name.
        name: String,
    },
    /// Two keys of a provider have one name.
    #[error("two keys are named {id}: give each a name of its own")]
    DuplicateKey {
        /// The name.
        id: String,
    },
    /// Two keys of a provider are one.
    #[error("the keys {first} and {second} have the same secret: remove one")]
    DuplicateSecret {
        /// The name of the one.
        first: String,
        /// The name of the other.
        second: String,
    },
    /// A provider without a key.
    #[error("no key{}", LookedAt(.looked_at))]
    NoKeys {
        /// The variables that were looked for, `*` for a number; empty if none was.
        looked_at: Vec<String>,
    },
    /// A chain of nothing.
    #[error("the order is empty: name at least one provider, or leave it out to have all")]
    EmptyOrder,
    /// The chain names a provider that is not there.
    #[error("no provider is named {name}; there is {}", .known.join(", "))]
    UnknownProvider {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The chain names a provider twice.
    #[error("{name} is in the order twice")]
    RepeatedProvider {
        /// The name.
        name: String,
    },
    /// Not an address to listen on.
    #[error("not an address: write `127.0.0.1:8787`, or `0.0.0.0:8787` to be reached from elsewhere")]
    Address(#[source] AddrParseError),
    /// Not a base URL.
    #[error("not a base URL, {reason}: write `https://host/path`")]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a length of time.
    #[error("not a length of time: write `500ms`, `60s` or `1m30s`")]
    Duration,
    /// A length of time beyond all reason.
    #[error("a length of time of more than a day: write `500ms`, `60s` or `1m30s`")]
    LongDuration,
    /// The least time is longer than the longest.
    #[error("the upper bound is below the lower bound")]
    Backoff,
    /// Not a percentage.
    #[error("not a percentage: write a whole number from 1 to 100")]
    Percent,
    /// Not a host.
    #[error("not a host: write `gateway.internal` or `192.168.1.5`, without a scheme and a port")]
    Host,
    /// None of a few words.
    #[error("write one of {}", .allowed.join(", "))]
    Choice {
        /// The words.
        allowed: &'static [&'static str],
    },
    /// No provider speaks this.
    #[error("an unknown dialect: write openai, anthropic, gemini, the name of another preset, or compatible")]
    UnknownDialect,
    /// Neither a dialect nor a name that tells it.
    #[error("the name is no preset's, so there must be a `dialect`")]
    MissingDialect,
    /// A name of a model that is empty or has control characters.
    #[error("the name of a model is empty, or has a control or an invisible character")]
    Model,
    /// Not the name of a header.
    #[error("not the name of a header: write `x-session-id`, or another name of letters, digits and `-`")]
    HeaderName,
    /// A header that has another use.
    #[error("{name} has a use of its own and would be taken off requests: name a header of your own")]
    ReservedHeader {
        /// The name of the header.
        name: HeaderName,
    },
    /// Not shares of a limit.
    #[error("not a share of a limit: write at most eight numbers above 0 and up to 1")]
    Share,
    /// A limit without an amount.
    #[error("it limits nothing: write `requests_per_minute`, `tokens_per_day`, `concurrent` or the like")]
    NoLimit,
    /// A burst without anything that it could be of.
    #[error("a burst of nothing: it is for what is limited per second or per minute")]
    BurstOfNothing,
    /// A reset without anything that could be reset.
    #[error("a reset of nothing: it is for what is limited per day")]
    ResetOfNothing,
    /// Not a way in which a day's limit comes back.
    #[error("write `utc`, `pacific`, `rolling`, or a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`")]
    Reset,
    /// A limit of an account that no key is of.
    #[error("no key is of the account {name}; {}", Known(.known))]
    UnknownAccount {
        /// The account.
        name: String,
        /// The accounts that keys are of.
        known: Vec<String>,
    },
    /// A limit of a key that names an account.
    #[error("a key's own limit is of no account: write it as a [[provider.limit]]")]
    AccountOfKey,
    /// A key's `id` or `account` that can't be shown.
    #[error("not a name for a key: {0}")]
    KeyName(#[source] InvalidName),
    /// What `keys_env` says can't be the beginning of variables' names.
    #[error(
        "not what variables begin with: write `OPENAI` to find OPENAI_API_KEY, OPENAI_API_KEY_1 and so on"
    )]
    Prefix,
    /// A text that looks like a reference to a secret, and is written as none.
    #[error(
        "this looks like a reference to a secret: write `env:NAME` or `file:PATH`, in lower case and with nothing before it"
    )]
    Reference,
    /// What follows `env:` can't be the name of a variable.
    #[error("what follows `env:` is not the name of a variable")]
    VariableName,
    /// A variable that is not set.
    #[error("the environment variable {name} is not set")]
    MissingVariable {
        /// The variable; `[withheld]` if what stands for its name may be a secret.
        name: String,
    },
    /// A file with a secret that can't be read.
    #[error("the secret file {} can't be read", .path.display())]
    SecretFile {
        /// The file; `[withheld]` if what stands for its path may be a secret.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A text that can't be a key or a token.
    #[error("not a secret")]
    Secret(#[source] InvalidSecret),
    /// A token that is too easily guessed.
    #[error(
        "a token of fewer than {least} characters: make a longer one, with `openssl rand -hex 24` for instance"
    )]
    ShortToken {
        /// The least number of characters.
        least: usize,
    },
    /// The keys make no pool.
    #[error("the keys make no pool")]
    Pool(#[source] BuildError),
}

struct LookedAt<'a>(&'a [String]);

struct Known<'a>(&'a [String]);

// === impl ConfigError ===

impl ConfigError {
    pub(super) fn new(place: Place, problem: Problem) -> Self {
        Self(Box::new(Inner { place, problem }))
    }

    /// Where it is wrong.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What is wrong.
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

impl fmt::Display for LookedAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(": add a [[provider.key]], or `keys_env`");
        }
        write!(f, ": set one of {}, or add a [[provider.key]]", self.0.join(", "))
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
