//! Simulated LLM providers for tests: keys, limits and faults of your choice, in process or over HTTP.
//!
//! A key rotation, or any other gateway, can only be trusted if it was tried against something that behaves
//! like a real provider: it sends the right headers, counts limits where the provider counts them, and breaks
//! in the ways in which providers break. A [`Simulator`] is one such provider. Tests set the limits, the
//! credit and the faults of its keys. It is a tower service over `http` types; [`serve`](Simulator::serve)
//! offers the same provider over HTTP/1 and HTTP/2 on a loopback port.
//!
//! The simulator is written from recordings of what providers send, and shares no code with the library that
//! it tests: a simulator that borrowed the classifier's tables would agree with their mistakes.
//!
//! # Order of checks
//!
//! A call passes these checks in order, and the first that objects decides the response: the provider's
//! [`Script`], the key (unknown or revoked), the key's own script, the form of the request, the models that
//! the key may use, the account's credit, the key's [`Limits`], and the account's limits. A script yields a
//! [`SimFault`]. Some faults replace the response; others spoil a response that the call has earned. A refused
//! call uses up nothing.
//!
//! # Time and randomness
//!
//! Only the latency is random, and it is seeded. Time is tokio's clock, which tests can pause. A "minute" of
//! the limits may last as long as the test likes ([`SimBuilder::minute`]). Every wait in headers and bodies
//! is stated in real time, so a caller that obeys it is served. Headers in whole seconds are rounded up, as
//! providers do.
//!
//! # Example
//!
//! ```
//! use http::{Request, StatusCode};
//! use http_body_util::BodyExt;
//! use tower::ServiceExt;
//! use tower_key_rotation_sim::{SimFault, Limits, Script, SimKey, Simulator};
//!
//! # async fn ask(sim: &Simulator, secret: &str) -> http::Response<tower_key_rotation_sim::SimBody> {
//! #     let request = Request::post("/v1/chat/completions")
//! #         .header("authorization", format!("Bearer {secret}"))
//! #         .body(r#"{"model":"gpt-4o","messages":[]}"#.to_owned()).unwrap();
//! #     sim.clone().oneshot(request).await.unwrap()
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let sim = Simulator::openai()
//!     .key(SimKey::new("first", "sk-1").limits(Limits::new().requests_per_minute(1)))
//!     .key(SimKey::new("second", "sk-2").script(Script::new().then(SimFault::status(503))))
//!     .build();
//!
//! assert_eq!(ask(&sim, "sk-1").await.status(), StatusCode::OK);
//! let refused = ask(&sim, "sk-1").await;
//! assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(refused.headers()["retry-after"], "60");
//!
//! assert_eq!(ask(&sim, "sk-2").await.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(ask(&sim, "sk-2").await.status(), StatusCode::OK);
//!
//! sim.key("second").revoke();
//! let refused = ask(&sim, "sk-2").await;
//! let body = refused.into_body().collect().await.unwrap().to_bytes();
//! assert!(body.windows(15).any(|it| it == b"invalid_api_key"));
//!
//! assert_eq!(sim.calls(), 5);
//! assert_eq!(sim.key("first").calls_with(StatusCode::TOO_MANY_REQUESTS), 1);
//! assert!(sim.log().iter().all(|call| !call.foreign_credentials));
//! # }
//! ```

mod account;
mod anthropic;
mod body;
mod bucket;
mod builder;
mod chat;
mod clock;
mod day;
mod edge;
mod error;
mod fault;
mod form;
mod gemini;
mod handle;
mod key;
mod limits;
mod log;
mod meter;
mod openai;
mod plan;
mod refusal;
mod reply;
mod request;
mod responses;
mod route;
mod scene;
mod script;
mod server;
mod service;
mod shape;
mod state;

pub use self::account::SimAccount;
pub use self::body::SimBody;
pub use self::builder::{Dialect, SimBuilder};
pub use self::error::SimError;
pub use self::fault::SimFault;
pub use self::handle::{AccountHandle, KeyHandle};
pub use self::key::{Latency, SimKey};
pub use self::limits::Limits;
pub use self::log::{Call, LOG_CAPACITY, Tally};
pub use self::meter::Headroom;
pub use self::refusal::{Refusal, SimDimension};
pub use self::script::Script;
pub use self::server::SimServer;
pub use self::service::{SimFuture, Simulator};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
