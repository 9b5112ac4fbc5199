//! The kinds of problems in a configuration. `error` gives a problem its place.

use std::io;
use std::net::AddrParseError;
use std::path::PathBuf;

use http::HeaderName;

use crate::config::invalid_rule::InvalidRule;
use crate::config::listing::{Known, Searched};
use tower_key_rotation::key::{InvalidName, InvalidSecret, InvalidServiceAccount};
use tower_key_rotation::pool::BuildError;
use tower_key_rotation::store::InvalidRedis;

/// The kind of problem in a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("the file can't be read")]
    Read(#[source] io::Error),
    /// The file is no text in UTF-8.
    #[error("the file is no text in UTF-8: save it in that encoding")]
    Encoding,
    /// The state of keys would be written over the configuration, or over a secret.
    #[error(
        "the configuration is read from this file, which the state of keys would replace: choose another one"
    )]
    StateFile,
    /// The name of the file does not show its format. Set one with [`Loader::format`](crate::config::Loader::format).
    #[error(
        "the file name ends in neither .toml nor .json: rename the file (YAML is not read; in code, `Loader::format` sets the format)"
    )]
    UnknownFormat,
    /// The text is not valid in its format, has an unknown or a repeated field, lacks a field, or has a value
    /// of a wrong type.
    #[error("{message}")]
    Malformed {
        /// Message of the parser, without any value of the file.
        message: String,
    },
    /// There is no provider.
    #[error("no provider: add a [[provider]] table")]
    NoProvider,
    /// A name of a provider cannot be part of a path, or the `id` of a key is empty.
    #[error("not a name: use one or more of letters, digits, `-`, `_` and `.`")]
    Name,
    /// The name of a provider shows one of its keys, or that of a caller its token.
    #[error("the name shows a secret: choose another one, because names are in logs and metrics")]
    SecretInName,
    /// A provider has the name of a path of the gateway.
    #[error("a provider can't be named {name}: /{name}/ is a path of the gateway; give it another `name`")]
    ReservedName {
        /// Name of the provider.
        name: &'static str,
    },
    /// Two providers have the same name.
    #[error("two providers are named {name}: rename one")]
    DuplicateProvider {
        /// Name of the providers.
        name: String,
    },
    /// Two keys of a provider have the same name.
    #[error("two keys are named {id}: rename one")]
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
    #[error("the order is empty: name at least one provider, or remove `order` to use all")]
    EmptyOrder,
    /// The chain names a provider that does not exist.
    #[error("unknown provider {name}: the known providers are {}", .known.join(", "))]
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
    #[error(
        "not an address with a port: write `127.0.0.1:8787`, or `0.0.0.0:8787` for callers on other machines"
    )]
    Address(#[source] AddrParseError),
    /// A base URL is invalid.
    #[error("not a base URL, {reason}: write `https://host/path`")]
    Url {
        /// Reason for which the URL is invalid.
        reason: &'static str,
    },
    /// A provider has no base URL, and its cloud does not give it one.
    #[error("missing field `base_url`: write `https://host/path`")]
    NoUrl,
    /// The fields about the cloud of a provider do not fit each other.
    #[error("{reason}")]
    Cloud {
        /// Reason for which they do not fit.
        reason: &'static str,
    },
    /// A path is invalid.
    #[error("not a path: write `/account`")]
    Path,
    /// A duration is invalid or zero.
    #[error("not a duration: write `500ms`, `60s` or `1m30s`")]
    Duration,
    /// A duration is longer than a day.
    #[error("a duration of more than a day: write `500ms`, `60s` or `1m30s`")]
    LongDuration,
    /// An upper bound of a duration is below its lower bound.
    #[error("the upper bound is below the lower bound")]
    Backoff,
    /// A percentage is above 100.
    #[error("not a percentage: write a whole number from 1 to 100")]
    Percent,
    /// An origin of web pages is invalid.
    #[error("not an origin: write `https://app.example.com`, without a path, or `*`")]
    Origin,
    /// All origins are allowed, by `*` or by `null`, which any page can send, and there is no token.
    #[error(
        "any page could use the gateway without a token: configure a `token`, or list the origins of pages"
    )]
    OpenCors,
    /// A host name is invalid.
    #[error("not a host: write `gateway.internal` or `192.168.1.5`, without a scheme and a port")]
    Host,
    /// The name of a caller is empty, or has a control or an invisible character.
    #[error("the name of a caller is empty, or has a control or an invisible character")]
    CallerName,
    /// Two callers have the same name.
    #[error("two callers are named {name}: rename one")]
    DuplicateCaller {
        /// Name of the callers.
        name: String,
    },
    /// A path that a caller may use is invalid.
    #[error("not a path: write `/v1/chat/completions`, or `/v1/*` for all below it")]
    CallerEndpoint,
    /// A list of models or paths that a caller may use is empty.
    #[error("an empty list permits nothing: name at least one, or remove the list to permit all")]
    EmptyPatterns,
    /// The token of a caller is that of another caller, of the gateway or of operators.
    #[error("this token is used twice: give each caller a token of its own")]
    SharedToken,
    /// The time at which a token expires is invalid.
    #[error("not a time: write `2027-01-31` or `2027-01-31T12:00:00Z`")]
    Expiry,
    /// The URL of Redis is invalid.
    #[error(transparent)]
    Redis(InvalidRedis),
    /// The URL of a webhook is invalid.
    #[error("not the URL of a webhook: write `https://host/path`, or a reference to it")]
    Webhook,
    /// A value is none of the accepted words.
    #[error("write one of {}", .allowed.join(", "))]
    Choice {
        /// Choices that are accepted.
        allowed: &'static [&'static str],
    },
    /// The dialect of a provider is unknown.
    #[error("unknown dialect: write openai, anthropic, gemini, the name of another preset, or compatible")]
    UnknownDialect,
    /// A provider has no dialect, and its name is not that of a preset.
    #[error("the name is not that of a preset: add a `dialect`")]
    MissingDialect,
    /// The name of a model is empty, or has a control or an invisible character.
    #[error("the name of a model is empty, or has a control or an invisible character")]
    Model,
    /// The name of a header is invalid.
    #[error("not a header name: write `x-session-id`, or another name of letters, digits and `-`")]
    HeaderName,
    /// The value of a header has a character that no header may carry.
    #[error("not the value of a header: it has a control or a non-ASCII character")]
    HeaderValue,
    /// A pattern of endpoints is not that of a path.
    #[error("a pattern of endpoints is not that of a path: begin it with `/` or `*`")]
    Endpoint,
    /// A header is needed on requests: it cannot be the affinity header, and no key can set it.
    #[error("{name} has another use: choose another header")]
    ReservedHeader {
        /// Name of the header.
        name: HeaderName,
    },
    /// The warning thresholds are more than eight, or one is not above 0 and at most 1.
    #[error("not a share of a limit: write at most 8 numbers, each above 0 and at most 1")]
    Share,
    /// A limit has no amount.
    #[error(
        "a limit without an amount: add `requests_per_minute`, `tokens_per_day`, `concurrent` or another amount"
    )]
    NoLimit,
    /// A limit has a burst and no amount per second or per minute.
    #[error("`burst` without an amount per second or per minute: add an amount, or remove `burst`")]
    UnusedBurst,
    /// A limit has a reset and no amount per day.
    #[error("`reset` without an amount per day: add an amount, or remove `reset`")]
    UnusedReset,
    /// The reset of a daily limit is invalid.
    #[error("write `utc`, `pacific`, `rolling`, or a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`")]
    Reset,
    /// A limit names an account that no key belongs to.
    #[error("no key belongs to the account {name}: {}", Known(.known))]
    UnknownAccount {
        /// Name of the account.
        name: String,
        /// Accounts that keys belong to.
        known: Vec<String>,
    },
    /// A limit of a key names an account.
    #[error("a limit of a key can't name an account: move it to a [[provider.limit]]")]
    AccountOfKey,
    /// The `id` or `account` of a key must not be shown.
    #[error("not a name for a key")]
    KeyName(#[source] InvalidName),
    /// The value of `keys_env` cannot be a prefix of variable names.
    #[error(
        "not a prefix of variable names: write `OPENAI` to find OPENAI_API_KEY, OPENAI_API_KEY_1 and so on"
    )]
    Prefix,
    /// A text looks like a reference to a secret and is not one.
    #[error(
        "this looks like a reference to a secret: write `env:NAME` or `file:PATH`, in lower case and with nothing before it"
    )]
    Reference,
    /// The text behind `env:` cannot be the name of a variable.
    #[error("the text after `env:` is not the name of a variable")]
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
    /// The table of a secret names none of the sources, or several, or a command without words.
    #[error(
        "not a source of a secret: write one of `file`, `command`, `oauth2`, `service_account` and `aws`"
    )]
    SecretSource,
    /// A file is not the key file of a service account.
    #[error("not the key file of a service account")]
    ServiceAccount(#[source] InvalidServiceAccount),
    /// A text cannot be a key or a token.
    #[error("not a secret")]
    Secret(#[source] InvalidSecret),
    /// A token is too short and therefore easy to guess.
    #[error(
        "the token has fewer than {least} characters: create a longer one, for instance with `openssl rand -hex 24`"
    )]
    ShortToken {
        /// Minimum number of characters.
        least: usize,
    },
    /// A rule can never hold, contradicts itself, or lacks a part.
    #[error("{0}")]
    Rule(InvalidRule),
    /// The keys cannot form a pool.
    #[error("the keys can't form a pool")]
    Pool(#[source] BuildError),
}
