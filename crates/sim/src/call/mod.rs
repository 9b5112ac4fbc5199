//! One call: its request arrives, the checks decide it, and its response is sent over time.

mod arrival;
mod body;
mod checks;
mod future;
mod in_flight;
mod plan;
mod prepared;
mod socket;

pub use self::body::SimBody;
pub use self::future::SimFuture;
pub(crate) use self::socket::Stopped;
