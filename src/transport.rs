//! What a client's error says about the request.
//!
//! A request that never left may be sent again; one that may have run must not be, unless the caller says
//! so. Clients differ in how they say it, so the whole chain of sources is walked, and what can't be told
//! counts as *perhaps executed*.

use std::error::Error;
use std::io;

use tower::BoxError;
use tower::load_shed::error::Overloaded;

use crate::classify::Transport;

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A layer between us and the client shed the request: neither the provider nor a key had to do with it.
    Shed,
    /// As [`Transport::Unsent`].
    Unsent,
    /// As [`Transport::Broken`].
    Broken,
    /// As [`Transport::Timeout`].
    Timeout,
}

/// What the error says of the provider; of a request that was shed, that it was not sent.
pub(crate) fn of(error: &BoxError) -> Transport {
    match nature(error) {
        Nature::Shed | Nature::Unsent => Transport::Unsent,
        Nature::Broken => Transport::Broken,
        Nature::Timeout => Transport::Timeout,
    }
}

/// What the first of the error's sources says that says something.
pub(crate) fn nature(error: &BoxError) -> Nature {
    sources(error).find_map(of_one).unwrap_or(Nature::Broken)
}

/// The error and its sources.
pub(crate) fn sources(error: &BoxError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = &**error;
    std::iter::successors(Some(first), |error| (*error).source())
}

fn of_one(error: &(dyn Error + 'static)) -> Option<Nature> {
    if error.is::<Overloaded>() {
        return Some(Nature::Shed);
    }
    if error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>() {
        return Some(Nature::Timeout);
    }
    let transport = of_client(error).or_else(|| of_io(error.downcast_ref()?));
    transport.map(|transport| match transport {
        Transport::Unsent => Nature::Unsent,
        Transport::Broken => Nature::Broken,
        Transport::Timeout => Nature::Timeout,
    })
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
