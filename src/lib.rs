//! Tower middleware for programs that call LLMs with more than one API key or more than one provider.
//!
//! [`KeyRotationLayer`] wraps any tower HTTP client and puts a key of a [`KeyPool`] on each request. A
//! [classifier](classify) decides what the response means. If the key is rate-limited, out of quota, revoked
//! or not allowed, the layer sends the request again with another key. [`ProviderFallbackLayer`] combines
//! such services of several providers into a chain: a request that fails at one provider goes on to the next.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_key_rotation_sim::{SimKey, Simulator};
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // A simulated provider that has revoked one of two keys. Use your HTTP client instead.
//! let client = Simulator::openai()
//!     .key(SimKey::new("old", "sk-old").revoked())
//!     .key(SimKey::new("new", "sk-new"))
//!     .build();
//!
//! let pool = KeyPool::builder(Provider::openai())
//!     .key(ApiKey::new("sk-old")?.id("old"))
//!     .key(ApiKey::new("sk-new")?.id("new"))
//!     .build()?;
//! let service = ServiceBuilder::new().layer(KeyRotationLayer::new(pool.clone())).service(client);
//!
//! let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
//! let request = Request::post("https://api.openai.com/v1/chat/completions").body(Full::<Bytes>::from(body))?;
//! let response = service.oneshot(request).await?;
//!
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(response.extensions().get::<Served>().map(|it| it.key_id().as_str()), Some("new"));
//! # Ok(())
//! # }
//! ```
//!
//! | module | contents |
//! |---|---|
//! | [`rotate`] | the rotation layer, and its action for each verdict |
//! | [`fallback`] | a chain of providers behind one service |
//! | [`pool`] | the keys of a provider and their state |
//! | [`limits`] | the state of quotas, declared and learned |
//! | [`key`] | keys, and loading them from the environment |
//! | [`provider`] | everything that differs between providers |
//! | [`check`] | checks whether keys are still valid |
//! | [`classify`] | from the outcome of an attempt to a verdict |
//! | [`body`] | bodies that can be sent again, and bodies that are inspected |
//! | [`respond`] | turns errors into responses |
//! | [`event`] | events: a stream to subscribe to, log lines, metrics |
//! | [`clock`] | points in time |
//! | [`cloud`] | one dialect over several clouds: Claude at Vertex AI and Bedrock, GPT at Azure, Gemini at Vertex AI |
//! | [`guide`] | guides: getting started, order of layers, errors, testing, other libraries, troubleshooting |
//! | [`guard`] | keeps keys within their provider's origins, below a layer that follows redirects |
//!
//! # Features
//!
//! No feature is enabled by default.
//!
//! | feature | adds |
//! |---|---|
//! | `decompress` | decodes compressed error responses, so that they can be judged and searched for the key |
//! | `eventstream` | streams of Bedrock as server-sent events, for [`cloud`] |
//! | `file-store` | `store::FileStore`: the state of pools in a file, across restarts |
//! | `hyper-util` | recognizes hyper-util's errors; changes which requests are sent again, see below |
//! | `metrics` | counters, gauges and histograms through the `metrics` facade, for hubs with metrics enabled |
//! | `secret-command` | [`SecretCommand`](key::SecretCommand), a source of secrets that runs a command |
//! | `service-account` | [`ServiceAccount`](key::ServiceAccount), a source of access tokens for Google service accounts |
//! | `sigv4` | AWS credentials as keys, which sign requests to Bedrock, for [`cloud`] |
//! | `redis` | `store::RedisStore`: the state of pools in Redis, shared by several processes |
//! | `redis-tls` | `rediss://` URLs for it, by rustls; the program installs the provider of its cryptography |
//! | `reqwest` | `ReqwestClient`, and recognizes its errors; changes which requests are sent again, see below |
//!
//! The features `hyper-util` and `reqwest` tell a request that never left the client from one that may have run. The
//! first is sent again, the second is not unless a policy or an `Idempotency-Key` allows it. Without the feature of
//! the client, both count as requests that may have run. Cargo enables a feature for a whole program if any of its
//! crates does, so enable the feature of your client yourself rather than rely on another crate.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod body;
pub mod check;
pub mod classify;
pub mod clock;
pub mod cloud;
mod error;
pub mod event;
mod exchange;
pub mod fallback;
pub mod guard;
pub mod guide;
pub mod key;
pub mod limits;
pub mod pool;
pub mod provider;
#[cfg(feature = "reqwest")]
pub mod reqwest_client;
pub mod respond;
pub mod rotate;
mod scrub;
#[cfg(any(feature = "file-store", feature = "redis"))]
pub mod store;
mod sync;
mod text;
mod wildcard;
mod zone;

pub use self::error::{AllKeysFailed, Error, OwnError, StopReason};
pub use self::exchange::home::Home;
pub use self::exchange::retry::RetryBudget;
#[doc(inline)]
pub use self::fallback::{AllProvidersFailed, ProviderFallbackLayer, ProviderPin};
#[doc(inline)]
pub use self::key::ApiKey;
#[doc(inline)]
pub use self::pool::{KeyPool, Session};
#[doc(inline)]
pub use self::provider::{ModelId, Provider};
#[doc(inline)]
pub use self::respond::RespondLayer;
#[doc(inline)]
pub use self::rotate::{Attempt, Deadline, KeyRotationLayer, Served};
pub use self::text::UnknownWord;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
