//! Errors and faults, and scripts that produce them call by call.

mod fault;
mod refusal;
mod sequence;

pub use self::fault::SimFault;
pub use self::refusal::{Refusal, SimDimension};
pub use self::sequence::Script;
