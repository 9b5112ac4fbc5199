//! Providers, keys and their chain from a file.
//!
//! A deployment is described in one file, TOML or JSON, and everything that is wrong with it is found when
//! it is loaded: what comes out is a [`KeyPool`] for each provider and the settings of the chain, all of
//! them usable. An error names the file, the line where TOML tells it, and the value
//! (`gateway.toml:12:8: provider[1].base_url: …`).
//!
//! ```toml
//! listen = "127.0.0.1:8787"
//! token = "env:GATEWAY_TOKEN"                 # what callers have to show; optional
//! [chain]
//! order = ["openai", "anthropic"]             # names below; all of them, if left out
//! start = "ordered"                           # or "round_robin"
//! deadline = "60s"
//! head_timeout = "30s"
//! first_content_timeout = "15s"
//! idle_timeout = "20s"
//! commit = "first_content"                    # or "head", "complete"
//! context_length = "fall_over"                # or "deliver"
//! max_attempts = 16                           # of one request, over all providers
//! backoff = "100ms"                           # before a provider's fault is retried, at least …
//! max_backoff = "500ms"                       # … and at most
//! resend_ambiguous = true                     # whether the next provider gets what may have been executed
//! wait_for_key = true                         # whether a request waits when no provider is usable
//! patience = "3s"                             # a wait that is waited for before the next provider is asked
//! complete_cap = 8_388_608                    # bytes of a response that are held back at most
//! [chain.breaker]                             # when a provider is left alone
//! enabled = true
//! consecutive = 5                             # faults in a row, or …
//! percent = 50                                # … this share
//! of_calls = 20                               # … of at least so many calls
//! window = "30s"                              # … within this time
//! open = "1s"                                 # for how long at first; doubles up to …
//! max_open = "60s"
//! [server]                                    # for a gateway; nothing in the library reads it
//! head_timeout = "30s"                        # first byte and head of a request, and idle connections
//! body_timeout = "30s"                        # pauses in the body of a request
//! write_timeout = "60s"                       # a caller that does not read
//! shutdown_timeout = "30s"
//! max_connections = 4096
//! max_requests = 4096                         # in flight
//! hosts = ["gateway.internal"]                # names by which callers without a token reach it
//! [rotation]                                  # for all providers
//! selection = "round_robin"                   # or "in_order", "random", "least_in_flight", "most_remaining"
//! affinity_header = "x-session-id"            # optional: requests with the same value keep to one key
//! warn_at = [0.8, 0.95]                       # shares of a limit that are told of when they are used up
//! [[provider]]
//! name = "openai"
//! dialect = "openai"                          # a preset's name, or "compatible"; else the name tells it
//! base_url = "https://api.openai.com/v1"
//! keys_env = "OPENAI"                         # finds OPENAI_API_KEY, OPENAI_API_KEY_1, OPENAI_API_KEYS, …
//! selection = "most_remaining"                # instead of what [rotation] says
//! learn_accounts = true                       # whether answers show which keys share an account
//! [provider.models]                           # what this provider calls a model the caller named
//! "gpt-4o" = "gpt-4o-2024-11-20"
//! [[provider.limit]]                          # of each account; a key without one is one of its own
//! model = "gpt-4o*"                           # of each such model, as the provider calls it
//! requests_per_minute = 500                   # or see below
//! burst = 50
//! [[provider.limit]]
//! account = "org-1"                           # of this account, beside those of each
//! tokens_per_day = 2_000_000
//! reset = "utc"
//! [[provider.key]]
//! id = "team-a"                               # else the variable's or the file's name
//! secret = "env:TEAM_A_KEY"                   # or "file:PATH", relative to this file; or the key itself
//! account = "org-1"
//! tier = "primary"                            # or "backup"
//! weight = 1
//! [[provider.key.limit]]                      # of this key alone
//! concurrent = 4
//! [[provider]]
//! name = "anthropic"
//! base_url = "https://api.anthropic.com/v1"
//! keys_env = "ANTHROPIC"
//! [provider.models]
//! "*" = "claude-sonnet-5-5"                   # any other model
//! ```
//!
//! # Limits
//!
//! A limit that is declared is kept to, as a [`Quota`](crate::limits::Quota) is: no request is sent that would be
//! refused for it. Each table has one amount or several, and all of them hold:
//!
//! | name | says |
//! |---|---|
//! | `model` | for each model of such a name, `*` being any text, after `[provider.models]` has renamed it; without it, for all together |
//! | `account` | of that account only, which a `[[provider.key]]` has to name |
//! | `{requests,tokens,input_tokens,output_tokens}_per_second` | evenly spaced, unless there is a `burst` |
//! | `…_per_minute` | as a bucket of the whole minute's amount, or of `burst` |
//! | `…_per_day` | anew at the provider's midnight, or as `reset` says |
//! | `concurrent` | requests under way at once |
//! | `burst` | so much at once, of what is limited per second or per minute |
//! | `reset` | when a day begins: at midnight in `"utc"`, `"pacific"` or by a POSIX rule such as `"CET-1CEST,M3.5.0,M10.5.0/3"`; or `"rolling"`: comes back evenly |
//!
//! # Secrets
//!
//! A file that is committed, mounted and copied is no place for a key, so a secret may be a reference. What
//! was read is held by types that show nothing in `Debug` and can't be serialized, and no error quotes a
//! value that might be one: parsers quote the line they fail at, so their words are cleared of values first.
//! A secret that looks like a reference and is none (`ENV:X`, `${X}`) is refused. A secret in a file that any
//! user can read, and a base URL with `http` to a public host, are [warned of](Config::warnings).
//!
//! The keys of a provider go to the origin of its `base_url` and nowhere else, whatever the preset allows.
//!
//! # Example
//!
//! ```
//! use tower_key_rotation::config::{Format, Loader};
//!
//! let text = r#"
//!     [[provider]]
//!     name = "openai"
//!     base_url = "https://api.openai.com/v1"
//!     keys_env = "OPENAI"
//! "#;
//! let vars = [("OPENAI_API_KEY_1", "sk-one"), ("OPENAI_API_KEY_2", "sk-two")];
//! let config = Loader::new().vars(vars).parse(text, Format::Toml)?;
//! assert_eq!(config.chain().order(), ["openai"]);
//! assert_eq!(config.providers()[0].pool().snapshot().keys.len(), 2);
//!
//! let error = Loader::new().vars([("PATH", "/bin")]).parse(text, Format::Toml).unwrap_err();
//! assert!(error.to_string().starts_with("line 2, column 5: provider[0]: no key: set one of OPENAI_API_KEY,"));
//! # Ok::<(), tower_key_rotation::config::ConfigError>(())
//! ```

mod base_url;
mod chain;
mod error;
mod file;
mod format;
mod limit;
mod load;
mod place;
mod resolve;
mod rotation;
mod secret;
mod server;
mod shown;
mod time;
mod warning;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::{HeaderName, Uri};

pub use self::chain::ChainSettings;
pub use self::error::{ConfigError, Problem};
pub use self::file::File;
pub use self::format::Format;
pub use self::load::Loader;
pub use self::place::Place;
pub use self::secret::Token;
pub use self::server::ServerSettings;
pub use self::warning::{Risk, Warning};

use crate::event::Events;
use crate::pool::KeyPool;

/// A configuration that was checked.
#[derive(Clone, Debug)]
pub struct Config {
    listen: Option<SocketAddr>,
    token: Option<Token>,
    chain: ChainSettings,
    server: ServerSettings,
    affinity_header: Option<HeaderName>,
    events: Events,
    /// Never empty; no two of one name.
    providers: Vec<ProviderSettings>,
    warnings: Vec<Warning>,
}

/// One provider: where it is, its keys, and what it calls models.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    name: String,
    base_url: Uri,
    models: BTreeMap<String, String>,
    limits_models: bool,
    pool: KeyPool,
}

// === impl Config ===

impl Config {
    /// The address to listen on.
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// What callers have to show; `None` lets anybody in.
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The chain.
    pub const fn chain(&self) -> &ChainSettings {
        &self.chain
    }

    /// Limits of connections and requests, for whoever serves them.
    pub const fn server(&self) -> &ServerSettings {
        &self.server
    }

    /// The header whose value tells what belongs together: who serves requests makes a
    /// [`Session`](crate::Session) of it.
    pub const fn affinity_header(&self) -> Option<&HeaderName> {
        self.affinity_header.as_ref()
    }

    /// The hub of all pools of this configuration, and of its clones; give it to the chain, too.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// All providers, in the order of the file, whether they are in the chain or not.
    pub fn providers(&self) -> &[ProviderSettings] {
        &self.providers
    }

    /// What exposes keys and is no error: a base URL in clear text, a secret that any user can read. The loader
    /// has said each in a `tracing` event.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&ProviderSettings> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}

// === impl ProviderSettings ===

impl ProviderSettings {
    /// For any model that has no entry of its own, in [`models`](Self::models).
    pub const ANY_MODEL: &str = "*";

    /// The name, which is also that of the pool's provider.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is: scheme, host and the beginning of every path.
    pub const fn base_url(&self) -> &Uri {
        &self.base_url
    }

    /// What it calls a model that the caller named; the names of callers are in alphabetical order.
    pub fn models(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models.iter().map(|(from, to)| (from.as_str(), to.as_str()))
    }

    /// Whether the file declares a limit for some of its models, so that a request has to name its model legibly.
    pub const fn limits_models(&self) -> bool {
        self.limits_models
    }

    /// Its keys, which go to the origin of [`base_url`](Self::base_url) only.
    pub const fn pool(&self) -> &KeyPool {
        &self.pool
    }
}
