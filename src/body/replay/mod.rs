//! A request body that can be sent again.
//!
//! Rotation needs the body once per attempt, and must not pay for that if the first attempt succeeds. A body
//! that comes in one piece is shared by all clones. Any other body is *teed*: frames are recorded as the first
//! attempt pulls them, and a later attempt starts with the record and then continues pulling. HTTP/1 and HTTP/2
//! connections may continue to send a body whose response has already been judged, so two clones may be polled
//! at once. Each has its own cursor, and frames pulled by one are available to the other.
//!
//! Recording stops at a cap, and when only one clone is left. Past that point only one clone can continue, the one
//! that pulled first, so that no attempt ever sends a body with a gap.
//!
//! A whole body may also be given in [pieces](Pieces), the larger of which is kept outside of memory.

pub(in crate::body) mod pieces;
pub(in crate::body) mod record;
pub(in crate::body) mod source;
pub(in crate::body) mod tee;
mod whole;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tower::BoxError;

pub(crate) use self::pieces::Pieces;
use crate::body::replay::pieces::PiecesReader;
use crate::body::replay::record::Source;
use crate::body::replay::source::IntoBytes;
use crate::body::replay::tee::{Cursor, Tee};
use crate::body::replay::whole::Whole;
use crate::body::stored::StoredBody;
use crate::body::upload::Upload;

/// A request body that can be sent again. The layers of this crate send it to the service inside them.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Full};
/// use tower_key_rotation::body::ReplayBody;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower::BoxError> {
/// let body = ReplayBody::new(Full::<Bytes>::from("hello"), ReplayBody::CAP).await;
/// let again = body.clone();
/// assert_eq!(body.collect().await?.to_bytes(), "hello");
/// assert_eq!(again.collect().await?.to_bytes(), "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Clone
///
/// A clone starts at the beginning, regardless of the original's position.
#[derive(Clone)]
pub struct ReplayBody(Inner);

#[derive(Clone)]
enum Inner {
    Whole(Whole),
    Teed(Cursor),
    /// Boxed, because a body is moved often, and few are large enough for pieces.
    Pieces(Box<PiecesReader>),
}

// === impl ReplayBody ===

impl ReplayBody {
    /// Default number of bytes of a streaming body that are recorded (2 MiB).
    pub const CAP: usize = 2 * 1024 * 1024;

    /// Creates an empty body.
    pub const fn empty() -> Self {
        Self(Inner::Whole(Whole::new(Bytes::new())))
    }

    /// Makes a body replayable. Of a streaming body, the first `cap` bytes are recorded. The future never waits. A
    /// [`ReplayBody`] is returned as it is, not wrapped again.
    pub async fn new<B>(body: B, cap: usize) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let body = match downcast::<Self, B>(body) {
            Ok(replay) => return replay,
            Err(body) => body,
        };
        let body = match downcast::<Full<Bytes>, B>(body) {
            Ok(mut full) => return full.frame().await.and_then(whole).unwrap_or_default(),
            Err(body) => body,
        };
        let mut source: Source = Box::pin(IntoBytes { body });
        match poll_fn(|cx| Poll::Ready(source.as_mut().poll_frame(cx))).await {
            Poll::Ready(None) => Self::empty(),
            Poll::Ready(Some(Ok(frame))) if frame.is_data() && source.is_end_stream() => {
                Self::from(frame.into_data().unwrap_or_default())
            }
            first => Self(Inner::Teed(Tee::start(source, first, cap))),
        }
    }

    /// Creates a body of which only the beginning is in memory: `start`, followed by `len` bytes that are kept
    /// elsewhere, such as in a file.
    ///
    /// Every attempt reads it anew. The beginning is also searched for ids and caps of tokens, so it should have some
    /// kilobytes. If the rest can't be read, the request fails with [`Error::Body`](crate::Error::Body).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::BodyExt;
    /// use tower_key_rotation::body::{ReadStored, ReplayBody, StoredBody};
    ///
    /// /// Stands for a file.
    /// struct Disk(Bytes);
    ///
    /// impl StoredBody for Disk {
    ///     fn read(&self, at: u64, len: usize) -> ReadStored {
    ///         let rest = self.0.slice(at as usize..);
    ///         let data = rest.slice(..rest.len().min(len));
    ///         Box::pin(async { Ok(data) })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower::BoxError> {
    /// let body = ReplayBody::stored(Bytes::from("hel"), Disk(Bytes::from("lo")), 2);
    /// let again = body.clone();
    /// assert_eq!(body.collect().await?.to_bytes(), "hello");
    /// assert_eq!(again.collect().await?.to_bytes(), "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stored(start: Bytes, rest: impl StoredBody, len: u64) -> Self {
        Self::of_pieces(Pieces::stored(start, Arc::new(rest), len))
    }

    /// Creates a body of pieces. Small ones in memory are joined, because clients handle bytes better than a stream.
    pub(crate) fn of_pieces(pieces: Pieces) -> Self {
        match pieces.joined(Self::CAP) {
            Some(all) => Self::from(all),
            None => Self(Inner::Pieces(Box::new(PiecesReader::new(pieces)))),
        }
    }

    /// Returns the whole body if it came in one piece, from its beginning.
    ///
    /// For clients that handle bytes better than a stream.
    ///
    /// # Errors
    ///
    /// Returns the body itself, at its position, if it is a stream.
    pub fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Inner::Whole(whole) => Ok(whole.into_bytes()),
            Inner::Teed(_) | Inner::Pieces(_) => Err(self),
        }
    }

    /// Returns whether a clone would get the whole body.
    pub fn is_replayable(&self) -> bool {
        match &self.0 {
            Inner::Whole(_) | Inner::Pieces(_) => true,
            Inner::Teed(cursor) => cursor.is_replayable(),
        }
    }

    /// Returns the whole body, and leaves this one as it is. Waits for a stream to end. `None` if it fails, or if it is
    /// too long to be recorded; then it can still be sent, once. Trailers are left out.
    pub(crate) async fn pieces(&self) -> Option<Pieces> {
        let cursor = match &self.0 {
            Inner::Whole(whole) => return Some(Pieces::in_memory(vec![whole.all().clone()])),
            Inner::Pieces(reader) => return Some(reader.pieces().clone()),
            Inner::Teed(cursor) => cursor,
        };
        self.upload().record().await;
        cursor.is_recording().then(|| Pieces::in_memory(cursor.recorded()))
    }

    /// Returns the body if a part of it is kept outside of memory.
    pub(crate) fn stored_pieces(&self) -> Option<Pieces> {
        match &self.0 {
            Inner::Pieces(reader) if !reader.pieces().is_in_memory() => Some(reader.pieces().clone()),
            _ => None,
        }
    }

    /// Returns the upload of the body by its caller.
    pub(crate) fn upload(&self) -> Upload {
        match &self.0 {
            Inner::Whole(_) | Inner::Pieces(_) => Upload::WHOLE,
            Inner::Teed(cursor) => Upload::new(cursor.watcher()),
        }
    }

    /// Takes the error with which the body failed, if any.
    pub(crate) fn take_error(&self) -> Option<BoxError> {
        match &self.0 {
            Inner::Whole(_) => None,
            Inner::Teed(cursor) => cursor.take_error(),
            Inner::Pieces(reader) => reader.pieces().take_error(),
        }
    }

    /// Reads the part of the body that has arrived and is in memory, from its beginning.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&[Bytes]) -> T) -> T {
        match &self.0 {
            Inner::Whole(whole) => read(std::slice::from_ref(whole.all())),
            Inner::Teed(cursor) => read(&cursor.recorded()),
            Inner::Pieces(reader) => read(&reader.pieces().start()),
        }
    }
}

fn whole(frame: Result<Frame<Bytes>, Infallible>) -> Option<ReplayBody> {
    frame.ok()?.into_data().ok().map(ReplayBody::from)
}

fn downcast<T: 'static, B: 'static>(body: B) -> Result<T, B> {
    let mut body = Some(body);
    let wanted = (&mut body as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take);
    match (wanted, body) {
        (Some(wanted), _) => Ok(wanted),
        (None, Some(body)) => Err(body),
        (None, None) => unreachable!("the body is taken only as what was wanted"),
    }
}

impl From<Bytes> for ReplayBody {
    fn from(all: Bytes) -> Self {
        Self(Inner::Whole(Whole::new(all)))
    }
}

/// A body of pieces that are in memory. They are shared by all clones; small ones are joined.
impl From<Vec<Bytes>> for ReplayBody {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self::of_pieces(Pieces::in_memory(pieces))
    }
}

impl Default for ReplayBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Whole(whole) => Poll::Ready(whole.take().map(|data| Ok(Frame::data(data)))),
            Inner::Teed(cursor) => cursor.poll_frame(cx),
            Inner::Pieces(reader) => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(whole) => whole.rest() == 0,
            Inner::Teed(cursor) => cursor.is_end_stream(),
            Inner::Pieces(reader) => reader.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(whole) => SizeHint::with_exact(whole.rest() as u64),
            Inner::Teed(cursor) => cursor.size_hint(),
            Inner::Pieces(reader) => SizeHint::with_exact(reader.left()),
        }
    }
}

impl fmt::Debug for ReplayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("size_hint", &self.size_hint())
            .field("replayable", &self.is_replayable())
            .finish()
    }
}
