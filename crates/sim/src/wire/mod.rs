//! The APIs on the wire: requests as the provider reads them, and responses as it writes them.
//!
//! [`ReceivedRequest`] holds the parts of a request that matter, and [`ResponseInput`] the data that a response
//! is made from. Each provider's folder writes its format; [`respond`](self::respond()) chooses between them.

mod anthropic;
mod credentials;
pub(crate) mod edge;
mod embedding;
mod fields;
mod form;
mod gemini;
mod handshake;
mod header;
mod input;
mod named;
mod object;
mod openai;
mod output;
mod reply;
mod request;
mod respond;
mod route;
mod upload;
mod wanted;
mod websocket;

pub(crate) use self::input::ResponseInput;
pub(crate) use self::output::Output;
pub(crate) use self::reply::{Content, Event, Part, Reply};
pub(crate) use self::request::ReceivedRequest;
pub(crate) use self::respond::{error_event, refuse, respond};
pub(crate) use self::websocket::SocketSession;
