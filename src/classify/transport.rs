//! Classification of client errors: whether the request may have reached the provider.
//!
//! A request that was never sent may be sent again. One that may have been executed must not be sent again
//! unless the caller allows it. Clients differ in how they report this, so the whole chain of sources is
//! searched. An error that reveals nothing counts as *may have been executed*.

use std::error::Error;
use std::io;

use tower::BoxError;
use tower::load_shed::error::Overloaded;

use crate::classify::Transport;

/// The kind of a client's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A layer between this crate and the client shed the request: neither the provider nor a key was
    /// involved.
    Shed,
    /// Like [`Transport::Unsent`].
    Unsent,
    /// Like [`Transport::Broken`].
    Broken,
    /// Like [`Transport::Timeout`].
    Timeout,
}

/// Returns what the error means for the provider. A request that was shed counts as unsent.
pub(crate) fn of(error: &BoxError) -> Transport {
    match nature(error) {
        Nature::Shed | Nature::Unsent => Transport::Unsent,
        Nature::Broken => Transport::Broken,
        Nature::Timeout => Transport::Timeout,
    }
}

/// Returns the kind of the first source that reveals one; [`Nature::Broken`] if none does.
pub(crate) fn nature(error: &BoxError) -> Nature {
    let mut in_client = false;
    let kinds = sources(error).find_map(|source| {
        let kind = of_one(source, in_client);
        in_client = in_client || is_of_client(source);
        kind
    });
    kinds.unwrap_or(Nature::Broken)
}

/// Iterates over the error and its sources.
pub(crate) fn sources(error: &BoxError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = &**error;
    std::iter::successors(Some(first), |error| (*error).source())
}

/// Returns the kind of one source. `in_client`: it is a source of an error of the client.
fn of_one(error: &(dyn Error + 'static), in_client: bool) -> Option<Nature> {
    if error.is::<Overloaded>() {
        return Some(Nature::Shed);
    }
    if error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>() {
        return Some(Nature::Timeout);
    }
    let transport = of_client(error).or_else(|| of_io(error.downcast_ref()?, in_client));
    transport.map(|transport| match transport {
        Transport::Unsent => Nature::Unsent,
        Transport::Broken => Nature::Broken,
        Transport::Timeout => Nature::Timeout,
    })
}

/// Returns the meaning of an error of the operating system. An open connection ends in the same kinds of errors as the
/// attempt to open one, if packets are refused on their way. So they reveal nothing in an error of the client, which
/// tells the two apart.
fn of_io(error: &io::Error, in_client: bool) -> Option<Transport> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
            if !in_client =>
        {
            Some(Transport::Unsent)
        }
        io::ErrorKind::TimedOut => Some(Transport::Timeout),
        // Other kinds may be wrappers around a source that reveals more.
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
    if error.downcast_ref().is_some_and(is_unprocessed) {
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

/// Returns whether the error is one of a client.
#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
fn is_of_client(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "hyper-util")]
    if error.is::<hyper_util::client::legacy::Error>() || error.is::<hyper::Error>() {
        return true;
    }
    #[cfg(feature = "reqwest")]
    if error.is::<reqwest::Error>() {
        return true;
    }
    false
}

/// Returns whether an HTTP/2 server has said that it did not process the request: it refused the stream, or its GOAWAY
/// names an earlier one as the last (RFC 9113, section 8.7). Streams up to that one end in other errors.
#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
fn is_unprocessed(error: &h2::Error) -> bool {
    let said = if error.is_go_away() { h2::Reason::NO_ERROR } else { h2::Reason::REFUSED_STREAM };
    error.is_remote() && error.reason() == Some(said)
}

#[cfg(not(any(feature = "hyper-util", feature = "reqwest")))]
fn of_client(_: &(dyn Error + 'static)) -> Option<Transport> {
    None
}

/// Returns whether the error may be one of a client, which is not recognised without a feature.
#[cfg(not(any(feature = "hyper-util", feature = "reqwest")))]
fn is_of_client(error: &(dyn Error + 'static)) -> bool {
    !error.is::<io::Error>()
}
