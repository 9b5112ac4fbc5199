//! The parts that both layers share: request heads, inspection, transport errors, deadlines, and the record of attempts.

pub(crate) mod context;
pub(crate) mod deadline;
pub(crate) mod future;
pub(crate) mod head;
mod header_copy;
pub(crate) mod home;
pub(crate) mod inspect;
pub(crate) mod keys_tried;
pub(crate) mod retry;
pub(crate) mod served;
pub(crate) mod time_limits;
