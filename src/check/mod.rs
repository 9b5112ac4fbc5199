//! Checks of keys: calls that cost nothing and tell whether a key is still valid.
//!
//! A key that is rarely used can be dead for weeks before a request finds out, and a key that was refused stays out
//! of use until it is replaced. [`KeyChecks`] asks the provider: for its list of models, for the account of the key, or
//! for the key itself, whichever the provider refuses without a valid key.
//!
//! # Rules
//!
//! - The response is judged by the same classifier as any other response.
//! - A refusal of the key is confirmed by a second call [a moment later](KeyChecks::confirm_after). Only then is the
//!   key invalid, as if a request had been refused. A key with a [source](crate::key::SecretSource) of its secret gets
//!   a new secret before the second call.
//! - A rate limit, a used-up quota, a missing permission, a fault of the provider and a timeout change nothing.
//! - A key that is out of use as invalid and passes a check is used again. Other cooldowns stay.
//! - A success whose body reports an error proves nothing.
//! - A success proves nothing if the provider would have served every caller. Unless the provider's documentation
//!   says that the call needs a key, it is made once more without one, and a second success makes the result
//!   [`OpenList`](CheckResult::OpenList).
//! - A check is no request: it takes no lease and no probe, counts against no limit, and may be made while the key is
//!   disabled. It goes to the key's own base URL, with the key's own headers.
//! - At a [cloud](crate::cloud#checks) the call is the cloud's own, and signed if the key signs: give the checks the same
//!   [`CloudService`](crate::cloud::CloudService) as the rotation layer.
//!
//! The result is kept in the [snapshot](crate::pool::KeySnapshot::last_check) of the key, and emitted as the event
//! [`Checked`](crate::event::EventKind::Checked).
//!
//! # Example
//!
//! ```
//! use tower_key_rotation::check::{CheckResult, KeyChecks};
//! use tower_key_rotation::{ApiKey, KeyPool, Provider};
//! use tower_key_rotation_sim::{SimKey, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A simulated provider. Use your HTTP client instead.
//! let client = Simulator::openai()
//!     .key(SimKey::new("good", "sk-good"))
//!     .key(SimKey::new("gone", "sk-gone").revoked())
//!     .build();
//! let keys = [ApiKey::new("sk-good")?.id("good"), ApiKey::new("sk-gone")?.id("gone")];
//! let pool = KeyPool::builder(Provider::openai()).keys(keys).build()?;
//!
//! let checks = KeyChecks::new(pool.clone(), client);
//! assert_eq!(checks.check(&"good".into()).await?.result, CheckResult::Valid);
//! assert_eq!(checks.check(&"gone".into()).await?.result, CheckResult::Invalid);
//! assert_eq!(pool.usable(None), 1);
//! # Ok(())
//! # }
//! ```

mod ask;
mod checks;
mod examine;

pub use self::checks::KeyChecks;
pub use crate::key::{CheckResult, KeyCheck};
