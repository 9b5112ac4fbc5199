//! A gateway for LLM APIs with several keys and several providers.
//!
//! The gateway serves OpenAI's API over a chain of providers, and the native API of each provider with whichever of
//! its keys is usable. It is built on [`tower_key_rotation`]: each provider has a pool of keys, a
//! [`KeyRotationLayer`](tower_key_rotation::KeyRotationLayer), and a place in a
//! [`ProviderFallbackLayer`](tower_key_rotation::ProviderFallbackLayer).
//!
//! The program `key-rotation-gateway` serves a configuration file. The library offers its parts:
//!
//! | item | purpose |
//! |---|---|
//! | [`config`] | loads a configuration file |
//! | [`router()`] | the gateway as an axum router, to mount in another app |
//! | [`Gateway`] | the gateway as a function from a request to a response |
//! | [`serve()`] | a server for a gateway, with limits on connections and requests |
//! | [`status::router`] | the status of any pools, to mount in any axum app |
//! | [`check_keys()`] | checks every key with a call that costs nothing |
//! | [`alert::Alerts`] | messages to webhooks when keys or providers fail |
//! | [`history::Recorder`] | history and statistics of any pools |
//! | `Traces` | traces by OTLP, with the feature `otlp` |
//!
//! # Paths
//!
//! | path | content |
//! |---|---|
//! | `/v1/…` | OpenAI's API, served by the first provider of the chain that can |
//! | `/{provider}/…` | the native API of one provider, with any of its keys |
//! | `/v1/messages…` | Anthropic's own API, with the keys of the first provider that has it |
//! | `/v1beta/…` | Google's own API, with the keys of the first provider that has it |
//! | `/ws/…` | Google's Live API over a WebSocket, in the same way |
//! | `/`, `/status`, `/health`, `/ready`, `/api/…` | the [`status`] of keys and providers: a page for people, and JSON |
//! | `/metrics` | counters and gauges for Prometheus, if [`Options::metrics`] is set |

mod access;
mod access_line;
mod affinity;
pub mod alert;
pub mod caller;
mod client;
pub mod config;
mod cors;
mod deliver;
mod destination;
mod drain;
mod extensions;
mod gateway;
mod headers;
pub mod history;
mod key_checks;
mod links;
mod log_throttle;
mod models;
mod options;
mod origin;
mod own;
mod paths;
mod prepare;
mod prometheus;
mod provider;
mod refusal;
mod renewals;
mod reply;
mod request_body;
mod requested_model;
mod response;
mod router;
mod serve;
mod session;
mod shape;
mod shared;
mod spool;
mod stall;
pub mod status;
mod stores;
mod trace;
mod upstream;
mod userinfo;
mod websocket;

pub use self::gateway::Gateway;
pub use self::key_checks::{CheckedKey, check_keys};
pub use self::options::Options;
pub use self::response::GatewayBody;
pub use self::router::router;
pub use self::serve::serve;
pub use self::stores::Stores;
#[cfg(feature = "otlp")]
pub use self::trace::{InvalidTraces, Traces};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
