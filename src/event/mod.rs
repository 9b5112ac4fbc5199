//! What operators want to hear of: one stream of events, log lines, metrics.
//!
//! Whatever happens to keys, requests and providers is an [`Event`]. There is one way of saying it, and three
//! of hearing it:
//!
//! - [`Events`] is a hub to [subscribe](Events::subscribe) to. A pool has one of its own
//!   ([`KeyPool::subscribe`](crate::KeyPool::subscribe)); give one hub to several pools and to their chain for
//!   one stream of everything.
//! - `tracing` events under the target `tower_key_rotation`: see [below](#log-lines).
//! - With the feature `metrics`, a hub that is told so (`Events::with_metrics`) counts and measures what it hears
//!   of: see `event::metrics` for the names.
//!
//! # It changes nothing
//!
//! No decision depends on whether anybody listens. Saying something takes no lock that is held for longer than
//! it takes to put an event into its slot, and never waits; a subscriber that is too slow misses the oldest
//! events, is told how many, and slows nobody. Where nobody listens an event is not even put together: it costs
//! two loads and a comparison, or three with the feature `metrics`.
//!
//! No event carries a secret. Keys are named by their ids; an id that a provider gives an answer is left out if
//! it contains the key.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_key_rotation::classify::{Fault, Reason, Scope};
//! use tower_key_rotation::event::{Events, Kind};
//! use tower_key_rotation::{ApiKey, KeyPool, Provider};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let events = Events::new();
//! let (one, two) = (ApiKey::new("sk-one")?.id("a"), ApiKey::new("sk-two")?.id("a"));
//! let openai = KeyPool::builder(Provider::openai()).key(one).events(&events).build()?;
//! let anthropic = KeyPool::builder(Provider::anthropic()).key(two).events(&events).build()?;
//! // A chain joins in with `ProviderFallbackLayer::events(&events)`.
//! let mut stream = events.subscribe();
//! # drop(openai);
//!
//! let fault = Fault::new(Reason::RateLimited, Scope::Key).retry_after(Duration::from_secs(20));
//! anthropic.acquire(None)?.fault(&fault, None);
//!
//! let event = stream.next().await.expect("the hub is still there")?;
//! assert_eq!(&*event.provider, "anthropic");
//! assert!(matches!(event.kind, Kind::CooledDown { key, .. } if key.as_str() == "a"));
//! # Ok(())
//! # }
//! ```
//!
//! # Log lines
//!
//! The level says who should care: `warn` where a person may have to act, `info` where a state changes, `debug`
//! for what one request did. Fields have the names of OpenTelemetry's semantic conventions for generative AI, as
//! of their version 1.41.0 (all `gen_ai.*` names are in development there), where those have one:
//!
//! | field | what |
//! |---|---|
//! | `provider` | the name of the provider in the pool, or of the link in a chain |
//! | `gen_ai.provider.name` | what the conventions call the API: `gcp.gemini`, `aws.bedrock`, `x_ai` …; the name of the provider where they know none. Not said of links |
//! | `gen_ai.request.model` | the model that the request asks for |
//! | `error.type` | why it failed: a [`Reason`](crate::classify::Reason), or another word that the event's docs name |
//! | `http.response.status_code` | the status of an answer |
//! | `key`, `account`, `scope`, `outcome`, `request_id`, `attempts`, `providers`, `from`, `to` | as in the event |
//! | `wait_ms`, `hint_ms`, `duration_ms` | milliseconds |
//! | `dimension`, `window`, `used`, `threshold`, `remaining`, `limit`, `resets_at_ms` | of a quota |

mod hub;
mod kind;
mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
mod subscription;

use std::sync::Arc;

use serde::Serialize;

pub use self::hub::Events;
pub(crate) use self::hub::{Severity, Source};
pub use self::kind::{AttemptOutcome, Kind};
pub use self::subscription::{Missed, Subscription};
use crate::clock::Timestamp;

/// Something that happened.
///
/// Serialized, it is one flat object: `at` (milliseconds since the Unix epoch), `provider`, `event` (the kind in
/// snake case), and the fields of the kind, times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The name of the provider that it is about: as the pool has it, or as the chain calls its link. Of what is
    /// about a chain as a whole, the name of its first link.
    pub provider: Arc<str>,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
}
