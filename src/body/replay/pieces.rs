//! A whole body in pieces, some of which may be kept outside of memory.
//!
//! Pieces are shared and never copied. So a body whose model is renamed consists of the pieces before the name, the new
//! name, and the pieces behind it.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use sync_wrapper::SyncWrapper;
use tower::BoxError;

use crate::body::replay::record::Polled;
use crate::body::stored::{ReadStored, StoredBody};

/// Maximum number of bytes of a stored piece that are read at a time (64 KiB).
const STEP: u64 = 64 * 1024;

/// A whole body in pieces.
#[derive(Clone)]
pub(crate) struct Pieces {
    all: Arc<[Piece]>,
    /// The error of a piece that could not be read, until it is taken. Shared with the bodies made of this one.
    failure: Arc<Mutex<Option<BoxError>>>,
}

#[derive(Clone)]
enum Piece {
    Memory(Bytes),
    Stored(Arc<dyn StoredBody>, Range<u64>),
}

/// The position of one clone of a body in its pieces.
pub(in crate::body) struct PiecesReader {
    pieces: Pieces,
    /// Number of the next piece, and the number of its bytes that were read.
    next: usize,
    read: u64,
    reading: Option<SyncWrapper<ReadStored>>,
}

/// The error of a clone whose next piece can't be read. The cause is kept for the layers.
#[derive(Debug, thiserror::Error)]
#[error("the stored part of the request body can't be read")]
struct Unreadable;

/// Reads the next bytes of a range.
fn read_step(stored: &Arc<dyn StoredBody>, range: &Range<u64>) -> ReadStored {
    let len = (range.end - range.start).min(STEP);
    stored.read(range.start, usize::try_from(len).unwrap_or(usize::MAX))
}

// === impl Pieces ===

impl Pieces {
    /// Creates a body whose beginning is in memory.
    pub(in crate::body) fn stored(start: Bytes, rest: Arc<dyn StoredBody>, len: u64) -> Self {
        Self::new([Piece::Memory(start), Piece::Stored(rest, 0..len)].into(), Arc::default())
    }

    /// Creates a body that is in memory.
    pub(in crate::body) fn in_memory(frames: Vec<Bytes>) -> Self {
        Self::new(frames.into_iter().map(Piece::Memory).collect(), Arc::default())
    }

    fn new(pieces: Vec<Piece>, failure: Arc<Mutex<Option<BoxError>>>) -> Self {
        Self { all: pieces.into_iter().filter(|piece| piece.len() > 0).collect(), failure }
    }

    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> u64 {
        self.all.iter().map(Piece::len).sum()
    }

    /// Returns the beginning of the body that is in memory.
    pub(in crate::body) fn start(&self) -> Vec<Bytes> {
        let in_memory =
            |piece: &Piece| if let Piece::Memory(data) = piece { Some(data.clone()) } else { None };
        self.all.iter().map_while(in_memory).collect()
    }

    pub(in crate::body) fn is_in_memory(&self) -> bool {
        self.all.iter().all(|piece| matches!(piece, Piece::Memory(_)))
    }

    /// Returns the whole body in one piece if it is in memory and has no more than `most` bytes, or only one piece.
    pub(in crate::body) fn joined(&self, most: usize) -> Option<Bytes> {
        if let [Piece::Memory(only)] = &*self.all {
            return Some(only.clone());
        }
        if !self.is_in_memory() || self.len() > most as u64 {
            return None;
        }
        let pieces = self.start();
        let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| all.extend_from_slice(piece));
        Some(all.freeze())
    }

    /// Shows all data of the body in order, and whether they are the last. Returns whether all of it could be read.
    pub(crate) async fn show(&self, mut show: impl FnMut(&[u8], bool)) -> bool {
        let (mut seen, len) = (0, self.len());
        for piece in &*self.all {
            let mut read = 0;
            while read < piece.len() {
                let data = match piece {
                    Piece::Memory(data) => data.clone(),
                    Piece::Stored(stored, range) => {
                        let left = range.start + read..range.end;
                        match self.check(read_step(stored, &left).await, &left) {
                            Ok(data) => data,
                            Err(_unreadable) => return false,
                        }
                    }
                };
                (read, seen) = (read + data.len() as u64, seen + data.len() as u64);
                show(&data, seen == len);
            }
        }
        true
    }

    /// Returns a body with other bytes in the place of some ranges. They are in order and do not overlap.
    pub(crate) fn edit(&self, edits: impl IntoIterator<Item = (Range<u64>, Bytes)>) -> Self {
        let mut pieces = Vec::new();
        let mut done = 0;
        for (range, new) in edits {
            self.cut(done..range.start, &mut pieces);
            pieces.push(Piece::Memory(new));
            done = range.end;
        }
        self.cut(done..self.len(), &mut pieces);
        Self::new(pieces, Arc::clone(&self.failure))
    }

    fn cut(&self, range: Range<u64>, into: &mut Vec<Piece>) {
        let mut start = 0;
        for piece in &*self.all {
            let end = start + piece.len();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                into.push(piece.part(from - start..to - start));
            }
            start = end;
        }
    }

    /// Checks data that were read, and keeps the error if there is one.
    fn check(&self, read: Result<Bytes, BoxError>, left: &Range<u64>) -> Result<Bytes, BoxError> {
        let error = match read {
            Ok(data) if !data.is_empty() && data.len() as u64 <= left.end - left.start => return Ok(data),
            Ok(_) => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
            Err(error) => error,
        };
        self.failure().get_or_insert(error);
        Err(Unreadable.into())
    }

    pub(in crate::body) fn take_error(&self) -> Option<BoxError> {
        self.failure().take()
    }

    fn failure(&self) -> MutexGuard<'_, Option<BoxError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Piece ===

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(data) => data.len() as u64,
            Self::Stored(_, range) => range.end.saturating_sub(range.start),
        }
    }

    fn part(&self, range: Range<u64>) -> Self {
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Self::Memory(data) => Self::Memory(data.slice(position(range.start)..position(range.end))),
            Self::Stored(stored, whole) => {
                Self::Stored(Arc::clone(stored), whole.start + range.start..whole.start + range.end)
            }
        }
    }
}

// === impl PiecesReader ===

impl PiecesReader {
    pub(in crate::body) const fn new(pieces: Pieces) -> Self {
        Self { pieces, next: 0, read: 0, reading: None }
    }

    pub(in crate::body) const fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    pub(in crate::body) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        let (stored, left) = match self.pieces.all.get(self.next) {
            None => return Poll::Ready(None),
            Some(Piece::Memory(data)) => {
                self.next += 1;
                return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
            }
            Some(Piece::Stored(stored, range)) => (stored, range.start + self.read..range.end),
        };
        let reading = self.reading.get_or_insert_with(|| SyncWrapper::new(read_step(stored, &left)));
        let read = ready!(Pin::new(reading.get_mut()).poll(cx));
        self.reading = None;
        let read = self.pieces.check(read, &left).map(|data| {
            self.read += data.len() as u64;
            if self.read == self.pieces.all[self.next].len() {
                (self.next, self.read) = (self.next + 1, 0);
            }
            Frame::data(data)
        });
        Poll::Ready(Some(read))
    }

    /// Returns the number of bytes that were not read.
    pub(in crate::body) fn left(&self) -> u64 {
        self.pieces.all[self.next.min(self.pieces.all.len())..].iter().map(Piece::len).sum::<u64>()
            - self.read
    }
}

impl Clone for PiecesReader {
    fn clone(&self) -> Self {
        Self::new(self.pieces.clone())
    }
}
