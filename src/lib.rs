//! Tower middleware for programs that call LLMs with more than one API key or more than one provider.
//!
//! [`KeyRotationLayer`] goes around any tower HTTP client, stamps a key of a [`KeyPool`] on each request,
//! lets a [classifier](classify) say what the answer means, and sends the request again with another key
//! when that one is rate-limited, out of quota, revoked or not allowed. [`ProviderFallbackLayer`] puts such
//! services of several providers behind one another.
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
//! // A provider in a box, to which one of two keys is revoked. In its place: your HTTP client.
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
//! | where | what |
//! |---|---|
//! | [`rotate`] | the layer, and what it does on which verdict |
//! | [`fallback`] | a chain of providers behind one service |
//! | [`pool`] | the keys and what is known about them |
//! | [`limits`] | what is known of quotas, declared and learned |
//! | [`key`] | what a key is, and where keys come from |
//! | [`provider`] | all that differs between providers |
//! | [`classify`] | from an outcome to a verdict |
//! | [`body`] | bodies that are sent again, and that are looked at |
//! | [`respond`] | errors into responses |
//! | [`config`] | providers, keys and their chain from a file |
//! | [`event`] | what happens: a stream to subscribe to, log lines, metrics |
//! | [`guard`] | keeping keys at home below a layer that follows redirects |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `config` | a loader for a file that names providers, keys and their chain |
//! | `decompress` | compressed error responses are decoded, so that they can be judged and searched for the key |
//! | `hyper-util` | recognition of hyper-util's errors: tells a request that never left from one that may have run |
//! | `metrics` | counters, gauges and histograms through the `metrics` facade, for hubs that are told to keep count |
//! | `reqwest` | `ReqwestClient`, and recognition of its errors |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod body;
pub mod classify;
pub mod clock;
#[cfg(feature = "config")]
pub mod config;
mod error;
pub mod event;
pub mod fallback;
mod future;
pub mod guard;
mod head;
mod inspect;
pub mod key;
pub mod limits;
pub mod pool;
pub mod provider;
#[cfg(feature = "reqwest")]
pub mod reqwest;
pub mod respond;
mod retry;
pub mod rotate;
mod scrub;
mod sync;
mod transport;

pub use self::error::{AllKeysFailed, Error, GaveUp};
pub use self::fallback::{AllProvidersFailed, Pin, ProviderFallbackLayer};
pub use self::key::ApiKey;
pub use self::pool::{KeyPool, Session};
pub use self::provider::{ModelId, Provider};
pub use self::respond::RespondLayer;
pub use self::retry::RetryBudget;
pub use self::rotate::{Attempt, Deadline, KeyRotationLayer, Served};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
