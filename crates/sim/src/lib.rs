//! Simulated LLM providers for tests: keys, limits and faults of your choice, in process or over HTTP.
//!
//! A [`Simulator`] behaves like OpenAI, Anthropic or Gemini towards a client, a gateway or a key rotation under
//! test. It sends the provider's headers and errors, counts limits per key, account and model, and fails as the
//! test decides. It needs no network and no account. It is a tower service over `http` types;
//! [`serve`](Simulator::serve) offers the same provider over HTTP/1 and HTTP/2 on a loopback port.
//!
//! The simulator shares no code with `tower-key-rotation`, which is tested with it. With shared tables, a
//! mistake in a table would pass its own test.
//!
//! # Parts
//!
//! - [`Simulator::openai`], [`anthropic`](Simulator::anthropic) and [`gemini`](Simulator::gemini) return a
//!   [`SimBuilder`]. The [`Simulator`] that it builds is the service, and also the handle to change the provider
//!   and to read its [log](Simulator::log) and [counts](Simulator::tally).
//! - A [`SimKey`] has a secret, [`Limits`], a [`Script`] and a [`Latency`]. Keys of one [`SimAccount`] share its
//!   limits and its credit.
//! - A [`SimFault`] is a failure of one call: an error of the provider ([`Refusal`]), a page of its gateway, a
//!   broken connection, or a stream that stalls, breaks or reports an error. A [`Script`] is a sequence of faults.
//! - [`KeyHandle`] and [`AccountHandle`] change and observe a running provider.
//!
//! # Output
//!
//! A request gets text, JSON or a call of a tool:
//!
//! - A request with tools gets a call of the first one that the provider does not run itself, unless its tool
//!   choice says otherwise or the conversation ends with a tool's result. The arguments fit the tool's schema.
//! - A request with a JSON schema gets JSON that fits it, and one in JSON mode gets an object.
//! - Any other request gets a text of as many [words](SimBuilder::words) as the test sets.
//!
//! JSON is the same for the same schema. Limits and credit count each output as that number of words.
//!
//! Files, batches, responses, conversations and cached contents belong to the account of the key that made them, and
//! reasoning is encrypted for it. An account keeps the latest 1,000 objects of each kind. Keys of other accounts get
//! the provider's error: 404, Gemini's 403, or OpenAI's 400 `invalid_encrypted_content`. Batches are done when they
//! are looked at.
//!
//! # WebSockets
//!
//! Over HTTP/1, [`serve`](Simulator::serve) also has OpenAI's Realtime API (`/v1/realtime`), OpenAI's Responses over a
//! WebSocket (`/v1/responses`) and Gemini's Live API (`/ws/…BidiGenerateContent`). A handshake is a call like any other:
//! it is checked, logged and refused in the same way, and counts as in flight until the WebSocket ends. A response has
//! the text of the client's last message. A message that is no event of the API is sent back as it is.
//!
//! # Order of checks
//!
//! A call passes these checks in order, and the first that fails decides the response: the provider's
//! [`Script`], the key (unknown or revoked), the key's own script, the request itself and its model, the models that the key may
//! use, the account's credit, the key's [`Limits`], and the account's limits. Faults of scripts that only alter
//! the response, such as a stall, take effect after all checks. A refused call takes nothing from limits and
//! credit.
//!
//! # Time and randomness
//!
//! Only the latency is random, and it is [seeded](SimBuilder::seed). Time is tokio's clock, which tests can
//! pause. The test sets the length of a [minute](SimBuilder::minute) and a [day](SimBuilder::day) of the limits.
//! The wait that a limit per second or minute states in headers and bodies is real time on that clock: a caller
//! that waits for it is served if no other call came first. Waits in whole seconds are rounded up.
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
//! assert_eq!(sim.key("first").tally().with(StatusCode::TOO_MANY_REQUESTS), 1);
//! assert!(sim.log().iter().all(|call| !call.foreign_credentials));
//! # }
//! ```

mod account;
mod answer;
mod call;
mod clock;
mod dialect;
mod error;
mod handle;
mod key;
mod log;
mod models;
mod quota;
mod sample;
mod script;
mod server;
mod simulator;
mod state;
mod store;
mod wire;

pub use self::account::SimAccount;
pub use self::answer::{SimAnswer, SimRequest};
pub use self::call::{SimBody, SimFuture};
pub use self::dialect::Dialect;
pub use self::error::SimError;
pub use self::handle::{AccountHandle, KeyHandle};
pub use self::key::{Latency, SimKey};
pub use self::log::{Call, LOG_CAPACITY, Tally};
pub use self::quota::{Headroom, Limits};
pub use self::script::{Refusal, Script, SimDimension, SimFault};
pub use self::server::SimServer;
pub use self::simulator::{SimBuilder, Simulator};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
