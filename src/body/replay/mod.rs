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

pub(in crate::body) mod record;
pub(in crate::body) mod source;
pub(in crate::body) mod tee;
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tower::BoxError;

use crate::body::replay::record::Source;
use crate::body::replay::source::IntoBytes;
use crate::body::replay::tee::{Cursor, Tee};
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
}

struct Whole {
    all: Bytes,
    sent: bool,
}

// === impl ReplayBody ===

impl ReplayBody {
    /// Default number of bytes of a streaming body that are recorded (2 MiB).
    pub const CAP: usize = 2 * 1024 * 1024;

    /// Creates an empty body.
    pub const fn empty() -> Self {
        Self(Inner::Whole(Whole { all: Bytes::new(), sent: false }))
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

    /// Returns the whole body if it came in one piece, from its beginning.
    ///
    /// For clients that handle bytes better than a stream.
    ///
    /// # Errors
    ///
    /// Returns the body itself, at its position, if it is a stream.
    pub fn try_into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Inner::Whole(whole) => Ok(whole.all),
            Inner::Teed(_) => Err(self),
        }
    }

    /// Returns whether a clone would get the whole body.
    pub fn is_replayable(&self) -> bool {
        match &self.0 {
            Inner::Whole(_) => true,
            Inner::Teed(cursor) => cursor.is_replayable(),
        }
    }

    /// Returns the whole body in one piece, and leaves this one as it is. Waits for a stream to end. `None` if
    /// it fails, or if it is too long to be recorded; then it can still be sent, once. Trailers are left out.
    pub(crate) async fn gather(&self) -> Option<Bytes> {
        let cursor = match &self.0 {
            Inner::Whole(whole) => return Some(whole.all.clone()),
            Inner::Teed(cursor) => cursor,
        };
        self.upload().record().await;
        cursor.is_recording().then(|| joined(&cursor.recorded()))
    }

    /// Returns the upload of the body by its caller.
    pub(crate) fn upload(&self) -> Upload {
        match &self.0 {
            Inner::Whole(_) => Upload::WHOLE,
            Inner::Teed(cursor) => Upload::new(cursor.watcher()),
        }
    }

    /// Takes the error with which the body failed, if any.
    pub(crate) fn take_error(&self) -> Option<BoxError> {
        match &self.0 {
            Inner::Whole(_) => None,
            Inner::Teed(cursor) => cursor.take_error(),
        }
    }

    /// Reads the part of the body that has arrived, from its beginning.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&[Bytes]) -> T) -> T {
        match &self.0 {
            Inner::Whole(whole) => read(std::slice::from_ref(&whole.all)),
            Inner::Teed(cursor) => read(&cursor.recorded()),
        }
    }
}

fn joined(frames: &[Bytes]) -> Bytes {
    match frames {
        [only] => only.clone(),
        frames => frames.concat().into(),
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
        Self(Inner::Whole(Whole { all, sent: false }))
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(whole) => whole.rest() == 0,
            Inner::Teed(cursor) => cursor.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(whole) => SizeHint::with_exact(whole.rest() as u64),
            Inner::Teed(cursor) => cursor.size_hint(),
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

// === impl Whole ===

impl Whole {
    fn take(&mut self) -> Option<Bytes> {
        let rest = self.rest() > 0;
        self.sent = true;
        rest.then(|| self.all.clone())
    }

    const fn rest(&self) -> usize {
        if self.sent { 0 } else { self.all.len() }
    }
}

impl Clone for Whole {
    fn clone(&self) -> Self {
        Self { all: self.all.clone(), sent: false }
    }
}
