//! Takes a key out of a response body as it passes.
//!
//! A refusal is searched to its end, a stream of events or lines too, since any of them may be an error. Of other
//! successes the trailers are searched, and data that names an error: content is the caller's, and searching it would
//! cost every response. The key is overwritten, so lengths stay true. A key may be cut at any byte, so bytes at the end of
//! a frame that may be its beginning are held back until the next frame, and nothing else is: an event is no
//! event before its end, which is never part of a key.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;
use tower::BoxError;

use crate::body::rest::{Rest, longer};
use crate::scrub;
use crate::scrub::Written;
use crate::scrub::secret::Secret;

/// Takes one key out of one body.
pub(crate) enum Redactor {
    /// The trailers are searched, and the text of an error.
    Edges(Secret),
    /// The data too. In a box, for most responses are successes.
    All(Box<Search>),
}

/// A search through data.
pub(crate) struct Search {
    secret: Secret,
    /// What may be the beginning of the key.
    held: BytesMut,
    /// What comes after data that was held until now.
    next: Next,
}

enum Next {
    Read,
    Frame(Option<Result<Frame<Bytes>, BoxError>>),
}

/// Bytes of an object in which its first members are still to come.
const SHORT: usize = 64;

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

// === impl Redactor ===

impl Redactor {
    /// `all`: the data is searched, too.
    pub(crate) fn new(secret: &Secret, all: bool) -> Self {
        let secret = secret.clone();
        if all { Self::All(Box::new(Search::new(secret))) } else { Self::Edges(secret) }
    }

    /// The next frame of a body, without the key.
    pub(super) fn poll_frame<B>(&mut self, mut body: Pin<&mut Rest<B>>, cx: &mut Context<'_>) -> Polled
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        loop {
            if let Self::All(search) = self
                && let Next::Frame(next) = &mut search.next
            {
                return Poll::Ready(next.take());
            }
            let next = std::task::ready!(body.as_mut().poll_frame(cx));
            let passed = match self.widened(next.as_ref()) {
                Self::Edges(secret) => Poll::Ready(next.map(|frame| edge(frame, secret))),
                Self::All(search) => search.pass(next),
            };
            if passed.is_ready() {
                return passed;
            }
        }
    }

    /// The data is searched as well, from a frame on that may be of an error.
    fn widened(&mut self, next: Option<&Result<Frame<Bytes>, BoxError>>) -> &mut Self {
        if let (Self::Edges(secret), Some(Ok(frame))) = (&*self, next)
            && frame.data_ref().is_some_and(|data| may_be_error(data))
        {
            *self = Self::new(secret, true);
        }
        self
    }

    /// What is held, of a body that is ended before its next frame.
    pub(super) fn release(&mut self) -> Option<Bytes> {
        match self {
            Self::All(search) => search.flush(),
            Self::Edges(_) => None,
        }
    }

    /// Whether the body ends here, which says so itself or does not.
    pub(super) fn is_end_stream(&self, says: bool) -> bool {
        match self {
            Self::Edges(_) => says,
            Self::All(search) => match &search.next {
                Next::Frame(next) => next.is_none(),
                Next::Read => says && search.held.is_empty(),
            },
        }
    }

    /// What is left of a body, whose own hint is given.
    pub(super) fn size_hint(&self, own: SizeHint) -> SizeHint {
        match self {
            Self::All(search) if !search.held.is_empty() => longer(&own, search.held.len()),
            Self::Edges(_) | Self::All(_) => own,
        }
    }
}

// === impl Search ===

impl Search {
    pub(crate) fn new(secret: Secret) -> Self {
        Self { secret, held: BytesMut::new(), next: Next::Read }
    }

    /// What may be passed on of data, and of what was held before it.
    pub(crate) fn data(&mut self, data: Bytes) -> Bytes {
        let Some(written) = Written::new(self.secret.expose()) else { return data };
        if self.held.is_empty() {
            let seen = written.look(&data);
            if !seen.found {
                let clean = seen.begun.map_or(data.len(), |begun| begun.at);
                self.held.extend_from_slice(&data[clean..]);
                return data.slice(..clean);
            }
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(&data);
        if let Some(begun) = written.overwrite(&mut text).begun {
            self.held = text.split_off(begun.at);
        }
        text.freeze()
    }

    /// What is held when nothing more comes: overwritten if it shows too much of the key.
    fn flush(&mut self) -> Option<Bytes> {
        let mut held = std::mem::take(&mut self.held);
        let written = Written::new(self.secret.expose())?;
        if written.look(&held).begun.is_some_and(|begun| written.shows_in(begun)) {
            held.fill(b'*');
        }
        Some(held.freeze()).filter(|held| !held.is_empty())
    }

    /// The frame to pass on; pending if all of it is held.
    fn pass(&mut self, next: Option<Result<Frame<Bytes>, BoxError>>) -> Polled {
        let next = match next.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                let was_empty = data.is_empty();
                let data = self.data(data);
                if data.is_empty() && !was_empty {
                    return Poll::Pending;
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Some(Ok(Err(trailers))) => Some(edge(Ok(trailers), &self.secret)),
            Some(Err(error)) => Some(edge(Err(error), &self.secret)),
            None => None,
        };
        let Some(held) = self.flush() else { return Poll::Ready(next) };
        self.next = Next::Frame(next);
        Poll::Ready(Some(Ok(Frame::data(held))))
    }
}

/// Whether data of a success may be of an error with status 200, as some gateways send them: it has a member or a value
/// `error`, or is too little of an object to say.
fn may_be_error(data: &[u8]) -> bool {
    let is_cut = data.len() < SHORT && data.starts_with(b"{") && !data.trim_ascii_end().ends_with(b"}");
    is_cut || ERROR.find(data).is_some()
}

/// A frame that is no data, or an error, without the key.
fn edge(frame: Result<Frame<Bytes>, BoxError>, secret: &Secret) -> Result<Frame<Bytes>, BoxError> {
    match frame {
        Ok(mut frame) => {
            if let Some(trailers) = frame.trailers_mut() {
                scrub::headers(trailers, secret.expose());
            }
            Ok(frame)
        }
        Err(error) => Err(scrub::redact(error, secret.expose())),
    }
}
