//! Removal of a key from a response body as it passes.
//!
//! Error responses are searched to their end. So are streams of events or lines, since any of them may be an
//! error. Of other successes, the trailers and any data that name an error are searched: their content belongs
//! to the caller, and searching it would cost every response. The key is overwritten, so lengths do not change.
//! A key may be cut at any byte, so bytes at the end of a frame that may be the beginning of the key are held
//! back until the next frame. Nothing else is held back: the end of an event is never part of a key, so no
//! event is delayed.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;
use tower::BoxError;

use crate::body::rest::{Rest, longer};
use crate::body::sse::BYTE_ORDER_MARK;
use crate::scrub;
use crate::scrub::Written;
use crate::scrub::secret::Secret;

/// Removes one key from one body.
pub(crate) enum Redactor {
    /// Searches the trailers, and data that name an error.
    Edges(Edges),
    /// Searches all data too. Boxed, because most responses are successes.
    All(Box<Search>),
}

/// A search for data that name an error.
pub(crate) struct Edges {
    secret: Secret,
    /// The last bytes of the data that have passed, which may be the beginning of the name.
    last: [u8; LAST],
}

/// A search for the key in data.
pub(crate) struct Search {
    secret: Secret,
    /// Bytes that may be the beginning of the key.
    held: BytesMut,
    /// The frame that follows data held back until now.
    next: Next,
}

enum Next {
    Read,
    Frame(Option<Result<Frame<Bytes>, BoxError>>),
}

/// Length below which a cut object may lack its first members, in bytes (64).
const SHORT: usize = 64;

/// The member, or the value, that names an error.
const NAME: &[u8] = b"\"error\"";

/// Number of bytes of the name that may have passed before its rest comes.
const LAST: usize = NAME.len() - 1;

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

// === impl Redactor ===

impl Redactor {
    /// Creates a redactor. `all`: the data are searched from the beginning.
    pub(crate) fn new(secret: &Secret, all: bool) -> Self {
        let secret = secret.clone();
        if all { Self::All(Box::new(Search::new(secret))) } else { Self::Edges(Edges::new(secret)) }
    }

    /// Returns the next frame of a body, without the key.
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
                Self::Edges(edges) => Poll::Ready(next.map(|frame| edge(frame, &edges.secret))),
                Self::All(search) => search.pass(next),
            };
            if passed.is_ready() {
                return passed;
            }
        }
    }

    /// Starts to search the data too, if this frame may belong to an error.
    fn widened(&mut self, next: Option<&Result<Frame<Bytes>, BoxError>>) -> &mut Self {
        if let (Self::Edges(edges), Some(Ok(frame))) = (&mut *self, next)
            && frame.data_ref().is_some_and(|data| edges.name_error(data))
        {
            *self = Self::new(&edges.secret, true);
        }
        self
    }

    /// Releases the bytes that are held back, for a body that ends before its next frame.
    pub(super) fn release(&mut self) -> Option<Bytes> {
        match self {
            Self::All(search) => search.flush(),
            Self::Edges(_) => None,
        }
    }

    /// Returns whether the body ends here. `says`: the body's own statement.
    pub(super) fn is_end_stream(&self, says: bool) -> bool {
        match self {
            Self::Edges(_) => says,
            Self::All(search) => match &search.next {
                Next::Frame(next) => next.is_none(),
                Next::Read => says && search.held.is_empty(),
            },
        }
    }

    /// Returns the size hint of the rest of a body, given the body's own hint.
    pub(super) fn size_hint(&self, own: SizeHint) -> SizeHint {
        match self {
            Self::All(search) if !search.held.is_empty() => longer(&own, search.held.len()),
            Self::Edges(_) | Self::All(_) => own,
        }
    }
}

// === impl Edges ===

impl Edges {
    const fn new(secret: Secret) -> Self {
        Self { secret, last: [0; LAST] }
    }

    /// Returns whether data of a success may belong to an error with status 200, as some gateways send them: they
    /// have a member or a value `error`, or are too short a part of a document to tell. The name may have begun in
    /// the data before.
    fn name_error(&mut self, data: &[u8]) -> bool {
        let text = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data).trim_ascii();
        let is_whole = || text.ends_with(b"}") || text.ends_with(b"]");
        let is_cut = text.len() < SHORT && matches!(text.first(), Some(b'{' | b'[')) && !is_whole();
        let mut border = [0; 2 * LAST];
        let next = &data[..data.len().min(LAST)];
        border[..LAST].copy_from_slice(&self.last);
        border[LAST..LAST + next.len()].copy_from_slice(next);
        let border = &border[..LAST + next.len()];
        self.last = data.last_chunk().or_else(|| border.last_chunk()).copied().unwrap_or(self.last);
        is_cut || ERROR.find(border).is_some() || ERROR.find(data).is_some()
    }
}

// === impl Search ===

impl Search {
    pub(crate) fn new(secret: Secret) -> Self {
        Self { secret, held: BytesMut::new(), next: Next::Read }
    }

    /// Returns the part of the data, and of the bytes held back before, that may be passed on.
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

    /// Returns the bytes that are held back at the end of the data. They are overwritten if they show too much
    /// of the key.
    fn flush(&mut self) -> Option<Bytes> {
        let mut held = std::mem::take(&mut self.held);
        let written = Written::new(self.secret.expose())?;
        if written.look(&held).begun.is_some_and(|begun| written.shows_in(begun)) {
            held.fill(b'*');
        }
        Some(held.freeze()).filter(|held| !held.is_empty())
    }

    /// Returns the frame to pass on. Pending if all of it is held back.
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

/// Removes the key from trailers, or from an error.
fn edge(frame: Result<Frame<Bytes>, BoxError>, secret: &Secret) -> Result<Frame<Bytes>, BoxError> {
    match frame {
        Ok(mut frame) => {
            if let Some(trailers) = frame.trailers_mut() {
                scrub::headers(trailers, secret);
            }
            Ok(frame)
        }
        Err(error) => Err(scrub::redact(error, secret.expose())),
    }
}
