//! What a client's error says about the request.
//!
//! A request that never left may be sent again; one that may have run must not be, unless the caller says
//! so. Clients differ in how they say it, so the whole chain of sources is walked, and what can't be told
//! counts as *perhaps executed*.

use std::error::Error;
use std::io;

use tower::BoxError;

use crate::classify::Transport;

/// What the error says.
pub(crate) fn of(error: &BoxError) -> Transport {
    let mut next: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        if let Some(transport) = of_one(error) {
            return transport;
        }
        next = error.source();
    }
    Transport::Broken
}

fn of_one(error: &(dyn Error + 'static)) -> Option<Transport> {
    if error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>() {
        return Some(Transport::Timeout);
    }
    of_client(error).or_else(|| of_io(error.downcast_ref()?))
}

fn of_io(error: &io::Error) -> Option<Transport> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Some(Transport::Unsent),
        io::ErrorKind::TimedOut => Some(Transport::Timeout),
        // Others may be wrappers around something that says more.
        _ => None,
    }
}

#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
fn of_client(error: &(dyn Error + 'static)) -> Option<Transport> {
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>()
        && error.is_connect()
    {
        return Some(Transport::Unsent);
    }
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper::Error>()
        && error.is_canceled()
    {
        return Some(Transport::Unsent);
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return match () {
            () if error.is_connect() => Some(Transport::Unsent),
            () if error.is_timeout() => Some(Transport::Timeout),
            () => None,
        };
    }
    None
}

#[cfg(not(any(feature = "hyper-util", feature = "reqwest")))]
fn of_client(_: &(dyn Error + 'static)) -> Option<Transport> {
    None
}
