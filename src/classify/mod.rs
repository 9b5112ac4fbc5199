//! Classification: from the outcome of an attempt to a verdict.
//!
//! A classifier knows providers and says *what happened*. It never says what to do about it: that is the job
//! of the policy, which knows budgets and no provider. Keeping the two apart lets a user replace either.
//!
//! A classifier is a tower service, so everything that tower offers for services works on it:
//! [`service_fn`](tower::service_fn) makes one from a closure, `map_response` corrects the verdict of
//! another, and a timeout bounds one that calls another service.
//!
//! ```
//! use std::convert::Infallible;
//! use tower::ServiceExt;
//! use tower_key_rotation::classify::{Classify, Fault, Reason, Scope, Verdict};
//! use tower_key_rotation::Provider;
//!
//! // In this deployment a forbidden model means that the key is revoked.
//! let strict = Provider::openai().classifier().map_response(|verdict| match verdict {
//!     Verdict::Fault(fault) if fault.reason() == Reason::Forbidden => {
//!         Verdict::Fault(Fault::new(Reason::InvalidKey, Scope::Key))
//!     }
//!     other => other,
//! });
//!
//! fn accepts(_: impl Classify) {}
//! accepts(strict);
//! ```

pub(crate) mod by_meaning;
pub(crate) mod by_status;
pub(crate) mod error_body;
mod fault;
pub mod hints;
pub(crate) mod meaning;
mod outcome;
mod reason;
pub(crate) mod response;
pub(crate) mod rules;
pub(crate) mod transport;
mod verdict;
mod wrapped;
mod xml;

use std::convert::Infallible;

use tower_service::Service;

pub use self::error_body::ErrorBody;
pub use self::fault::Fault;
pub use self::meaning::{Evidence, Reading, Why};
pub use self::outcome::{Outcome, Transport};
pub use self::reason::{Reason, Scope};
pub use self::verdict::{Rejection, Verdict};

/// A classifier: a service from [`Outcome`] to [`Verdict`]. Implemented for every service of that shape.
///
/// A classifier cannot fail: it reports what it cannot tell as a verdict too. The futures of the built-in
/// classifiers are [`std::future::Ready`].
pub trait Classify:
    Service<Outcome, Response = Verdict, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<T> Classify for T where
    T: Service<Outcome, Response = Verdict, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}
