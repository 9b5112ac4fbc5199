//! Configuration files: providers, their keys, and the chain.
//!
//! One file in TOML or JSON describes a deployment, and every problem in it is found when it is loaded. The
//! result is a [`KeyPool`](tower_key_rotation::KeyPool) for each provider and the settings of the chain, all of them valid. An error names
//! the file, the line (where the format is TOML), and the value (`gateway.toml:12:8: provider[1].base_url:
//! …`).
//!
//! ```toml
//! listen = "127.0.0.1:8787"
//! token = "env:GATEWAY_TOKEN"                 # token that callers must send; optional
//! state_file = "/var/lib/gateway/state.json"  # keeps cooldowns and counts across restarts; default: none
//! [redis]                                     # shares them between gateways; default: none
//! url = "env:REDIS_URL"                       # redis://USER:PASSWORD@HOST:PORT/DATABASE
//! prefix = "tower-key-rotation"               # of the names in Redis; gateways with one prefix share their state
//! share_limits = true                         # gateways stay together within declared limits
//! [chain]
//! order = ["openai", "anthropic"]             # names of providers below; default: all of them
//! start = "ordered"                           # or "round_robin"
//! deadline = "10m"                            # from a request to the commit of its response; default: none
//! head_timeout = "5m"                         # head of a response, for each attempt; default: none
//! first_content_timeout = "5m"                # from the head of a stream to its first content; default: none
//! idle_timeout = "5m"                         # pauses in a stream; default: none
//! commit = "first_content"                    # or "head", "complete"
//! context_length = "fall_over"                # or "deliver"
//! max_attempts = 16                           # of one request, over all providers
//! backoff = "100ms"                           # shortest delay before a provider's fault is retried
//! max_backoff = "500ms"                       # longest delay before a provider's fault is retried
//! resend_ambiguous = true                     # send a request on that may have been executed
//! wait_for_key = true                         # wait when no provider is usable
//! patience = "3s"                             # longest wait for a provider before the next one is used
//! complete_cap = 8_388_608                    # maximum bytes of a response that are held back
//! models = "union"                            # or the provider whose models `GET /v1/models` lists
//! [[chain.timeouts]]                          # other limits for some models; the first pattern that matches applies
//! models = ["gpt-4o*", "*-flash"]
//! head_timeout = "30s"                        # also first_content_timeout, idle_timeout
//! [chain.breaker]                             # when a provider is skipped
//! enabled = true
//! consecutive = 5                             # opens after this many faults in a row, or
//! percent = 50                                # at this failure rate
//! of_calls = 20                               # minimum number of calls for the failure rate
//! window = "30s"                              # window of the failure rate
//! open = "1s"                                 # first time open; doubles up to `max_open`
//! max_open = "15s"
//! [server]                                    # limits of the server; `hosts` also applies to a mounted router
//! head_timeout = "30s"                        # head of a request, and idle connections
//! body_timeout = "30s"                        # pauses in the body of a request
//! write_timeout = "60s"                       # a caller that does not read its response
//! shutdown_timeout = "30s"
//! websocket_idle_timeout = "10m"              # a WebSocket without a byte from either side
//! max_connections = 4096
//! max_requests = 4096                         # in flight
//! max_body_memory = 67_108_864                # bytes of requests above 256 KiB that are kept in memory together
//! max_body_disk = 4_294_967_296               # bytes of the others, in unnamed temporary files
//! hosts = ["gateway.internal"]                # names by which callers without a token reach it
//! [status]                                    # the status of keys at /, /status, /health and /api/…
//! operator_token = "env:OPERATOR_TOKEN"       # turns verbs on: reset, disable, drain, enable, cool down; default: off
//! required = ["openai"]                       # must have a usable key for /health to be 200; default: any of the chain
//! [checks]                                    # of keys, with calls that cost nothing; see `tower_key_rotation::check`
//! every = "10m"                               # each key once in this time; default: only on demand
//! confirm_after = "5s"                        # time between a refusal and the call that confirms it
//! timeout = "10s"                             # of one call
//! [[caller]]                                  # a token with a name and limits of its own; any number
//! name = "search"                             # in logs, metrics and reports
//! token = "env:SEARCH_TOKEN"
//! models = ["gpt-4o*"]                        # names that it may ask for; default: all
//! endpoints = ["/v1/chat/*", "/v1/models"]    # default: all
//! requests_per_minute = 60                    # also requests_per_day
//! tokens_per_day = 2_000_000                  # also tokens_per_minute
//! share = 0.25                                # of `max_requests` in [server] that may be its requests; default: all
//! expires = "2027-01-31"                      # beginning of that day in UTC, or a time such as 2027-01-31T12:00:00Z
//! [[alert]]                                   # messages when keys or providers fail; see `crate::alert`
//! name = "chat"                               # for logs; default: the format
//! url = "env:SLACK_WEBHOOK"                   # or the URL itself
//! format = "slack"                            # or "json" (default), "discord", "pagerduty", "alertmanager"
//! secret = "env:ALERT_SECRET"                 # signs messages; PagerDuty's routing key
//! on = ["exhausted", "key_invalid", "breaker", "state_lost"] # default: these
//! quota = 0.9                                 # also when this share of a limit is used
//! rotations_per_minute = 60                   # also for more rotations than this at a provider
//! group_wait = "2s"                           # time for which further alerts are collected into one message
//! [cors]                                      # web pages that may use the gateway
//! origins = ["https://app.example.com"]      # or "*", with a token
//! [rotation]                                  # for all providers
//! selection = "round_robin"                   # or "in_order", "random", "least_in_flight", "most_remaining"
//! affinity_header = "x-session-id"            # optional: requests with the same value use the same key
//! warn_at = [0.8, 0.95]                       # used-up shares of a limit at which a warning is emitted
//! [[provider]]
//! name = "openai"
//! dialect = "openai"                          # name of a preset, or "compatible"; default: by the name
//! base_url = "https://api.openai.com/v1"
//! keys_env = "OPENAI"                         # finds OPENAI_API_KEY, OPENAI_API_KEY_1, OPENAI_API_KEYS, …
//! selection = "most_remaining"                # in place of the selection in [rotation]
//! learn_accounts = true                       # learn from responses which keys share an account
//! endpoints = ["+rerank", "-images"]          # adds to those of the dialect, and takes from them
//! check = "/account"                          # path of a free call that proves a key; default: that of the dialect
//! [provider.models]                           # this provider's name for a model that a caller names
//! "gpt-4o" = "gpt-4o-2024-11-20"
//! [[provider.limit]]                          # of each account; a key without one is an account of its own
//! model = "gpt-4o*"                           # of each such model, by the provider's name
//! requests_per_minute = 500                   # other amounts: see below
//! burst = 50
//! [[provider.limit]]
//! account = "org-1"                           # of this account, beside the limits of each account
//! tokens_per_day = 2_000_000
//! reset = "utc"
//! [[provider.rule]]                           # your own rules for responses
//! status = 402
//! reason = "quota_exceeded"
//! wait = "1h"                                 # the key is out for an hour
//! [[provider.key]]
//! id = "team-a"                               # default: name of the variable or the file
//! secret = "env:TEAM_A_KEY"                   # or "file:PATH", relative to this file; or the key itself
//! account = "org-1"
//! tier = "primary"                            # or "backup"
//! weight = 1
//! concurrent = 8                              # requests in flight
//! base_url = "https://east.openai.azure.com/openai/v1"   # of this key, in place of the provider's
//! headers = { openai-organization = "org-1" } # set on its requests; a value may be a reference
//! models = { "gpt-4o" = "gpt4o-east" }        # name under which this key sends a model
//! only_models = ["gpt-4o*"]                   # models it may be used for; default: all
//! except_models = "gpt-4o-audio*"
//! only_endpoints = ["/v1/chat", "*/responses"]  # paths at the provider; default: all
//! except_endpoints = "*/batches*"
//! [[provider.key.limit]]                      # of this key alone
//! concurrent = 4
//! [[provider]]
//! name = "anthropic"
//! base_url = "https://api.anthropic.com/v1"
//! keys_env = "ANTHROPIC"
//! [provider.models]
//! "*" = "claude-sonnet-5-5"                   # any other model
//! [[provider]]                                # Claude again, from a cloud: see `ProviderSettings::cloud`
//! name = "claude-on-bedrock"
//! cloud = "bedrock"                           # or "bedrock-mantle", "vertex", "azure"
//! region = "us-east-1"                        # of Bedrock; Vertex AI has `project` and `location`, Azure `api_version`
//! models = { "claude-sonnet-4-5" = "us.anthropic.claude-sonnet-4-5-20250929-v1:0" }
//! [[provider.key]]
//! id = "aws"
//! secret = { aws = { access_key_id = "env:AWS_ACCESS_KEY_ID", secret_access_key = "env:AWS_SECRET_ACCESS_KEY" } }
//! ```
//!
//! # Keys that differ
//!
//! A key may have a `base_url` of its own: an Azure resource, a region, a relay. The path of the provider's
//! `base_url` is replaced by that of the key. The key is sent there and nowhere else. A model or object that one of
//! several base URLs does not have (404) is looked for at the others. The names in `models`, `only_models` and
//! `except_models` are those after `[provider.models]` has renamed them. A pattern of endpoints is a path, which
//! includes the paths below it, or has `*` for any text. If no key may serve the model or endpoint of a request, the
//! gateway responds with 404 and the code `no_key_may_serve`. Keys from environment variables have none of these
//! attributes.
//!
//! # Secrets that change
//!
//! The `secret` of a key may be the table of a [source](tower_key_rotation::key::SecretSource). A running gateway renews
//! such secrets ahead of their expiry, and reads files again. A source that fails at the start is no error of the
//! configuration: its key is not used until it has a secret.
//!
//! | source | secret |
//! |---|---|
//! | `{ file = "PATH" }` | of a file, plain or JSON, that is read every 30 s: mounted Kubernetes secrets, files of a Vault agent |
//! | `{ command = ["PROGRAM", "ARGUMENT"] }` | printed by a program, plain or JSON, that is run every 5 min |
//! | `{ oauth2 = { token_url = "…", client_id = "…", client_secret = "env:…", parameters = { scope = "…" } } }` | of a token endpoint, by client credentials |
//! | `{ service_account = { file = "PATH" } }` | access tokens of a Google service account, for Vertex AI; the path is that of its JSON key file, and `scope` may be set |
//!
//! `every` sets another interval: `{ command = ["gcloud", "auth", "print-access-token"], every = "30m" }`.
//!
//! # Limits
//!
//! A declared limit is observed like a [`Quota`](tower_key_rotation::limits::Quota): no request is sent that would be
//! refused for it. Each table has one or more amounts, and all of them apply:
//!
//! | name | meaning |
//! |---|---|
//! | `model` | applies to each model with such a name, after `[provider.models]` has renamed it; `*` stands for any text. Default: to all models together |
//! | `account` | applies to that account only, which a `[[provider.key]]` must name |
//! | `{requests,tokens,input_tokens,output_tokens}_per_second` | amount per second, evenly spaced unless there is a `burst` |
//! | `…_per_minute` | a bucket of the whole minute's amount, or of `burst` |
//! | `…_per_day` | amount per day, refilled at the provider's midnight or according to `reset` |
//! | `concurrent` | requests in flight |
//! | `burst` | amount available at once, for limits per second or per minute |
//! | `reset` | beginning of the day: midnight in `"utc"`, `"pacific"` or by a POSIX rule such as `"CET-1CEST,M3.5.0,M10.5.0/3"`; or `"rolling"` for a limit that refills evenly |
//!
//! # Rules
//!
//! A [`Rule`](tower_key_rotation::provider::Rule) classifies responses before everything built in. Rules are read
//! from the top, and the first whose conditions all hold decides. A condition is one value or a list, of which
//! one must hold.
//!
//! | name | meaning |
//! |---|---|
//! | `name` | name for people; optional |
//! | `status` | status of the response; without it, the rule applies to all errors and to no success |
//! | `code` | code, type or reason of the error, as a whole |
//! | `says` | whole words of the error's message, in any case |
//! | `header` | header of the response, `"x-name"` or `"x-name: value"` |
//! | `path` | path of the request at the provider, or its beginning; `*` stands for any text |
//! | `verdict` | `"fault"` (default if there is a reason), `"deliver"` (the response is the caller's) or `"ignore"` (it counts as a success) |
//! | `reason` | [`Reason`](tower_key_rotation::classify::Reason) of a fault, such as `"quota_exceeded"` |
//! | `scope` | [`Scope`](tower_key_rotation::classify::Scope) of a fault. Default: `"key"`; `"provider"` for a reason that no key causes |
//! | `wait` | length of the cooldown, up to a day. Default: as the response says |
//! | `until` | end of the cooldown, instead of `wait`: `"midnight"` of the provider, or `"midnight utc"`, `"midnight pacific"`, or with a POSIX rule |
//!
//! # Changes at run time
//!
//! [`Gateway::reload`](crate::Gateway::reload) loads the file again, on SIGHUP and when it or a file with a secret changes.
//! Another address, other limits of the listener, and other environment variables need a restart.
//!
//! # Secrets
//!
//! A secret may be a reference, so that the file can be committed. No error quotes a value that might be a secret.
//! A secret that looks like a reference and is not one (`ENV:X`, `${X}`) is an error. A secret in a file that
//! any user can read, and a base URL with `http` to a public host, cause a [warning](Config::warnings).
//!
//! # Example
//!
//! ```
//! use tower_key_rotation_gateway::config::{Format, Loader};
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
//! # Ok::<(), tower_key_rotation_gateway::config::ConfigError>(())
//! ```

mod adopt;
mod alert;
mod base_url;
mod caller;
mod chain;
mod check;
mod choices;
mod cloud;
mod cors;
mod duration;
mod endpoints;
mod error;
mod file;
mod format;
mod invalid_rule;
#[cfg(feature = "schema")]
mod json_schema;
mod key_attributes;
mod key_source;
mod keys;
mod known_source;
mod limit;
mod listing;
mod loader;
mod location;
mod model_list;
mod problem;
mod read_file;
mod redact;
#[cfg(feature = "schema")]
mod reference;
mod resolve;
mod rotation;
mod rule;
#[cfg(feature = "schema")]
mod schema;
mod secret;
mod server;
mod settings;
mod several;
mod status;
mod store;
mod text;
mod timeouts;
mod warning;

pub(crate) use self::adopt::adopt;
pub use self::caller::{CallerLimits, CallerSettings};
pub use self::chain::ChainSettings;
pub use self::check::CheckSettings;
pub use self::error::{ConfigError, Problem};
pub use self::file::ConfigFile;
pub use self::format::Format;
pub use self::invalid_rule::InvalidRule;
#[cfg(feature = "schema")]
pub use self::json_schema::json_schema;
pub use self::loader::Loader;
pub use self::location::Location;
pub use self::model_list::ModelList;
#[cfg(feature = "schema")]
pub use self::reference::reference;
pub use self::secret::Token;
pub use self::server::ServerSettings;
pub use self::settings::{Config, ProviderSettings};
pub use self::status::StatusSettings;
pub use self::store::{RedisSettings, StoreSettings};
pub use self::warning::{Risk, Warning};
