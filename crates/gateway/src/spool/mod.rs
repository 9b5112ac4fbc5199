//! Bodies of requests that are kept until their request has a response, so that it can be sent again.
//!
//! Bodies above 256 KiB take their memory from a budget. A body that finds no room there is written to an unnamed
//! temporary file, and sent from it. The files together have a limit, too; a request that would exceed it is refused. A
//! body of known length takes its memory at once. Other memory, and room on disk, are taken as bytes arrive. A body on disk
//! may wait for memory; a body in memory waits for no room.

mod budget;
mod temp_file;

use std::mem;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tower::BoxError;
use tower_key_rotation::body::ReplayBody;

pub(crate) use self::budget::{BodyBudget, NoRoom, Room};
pub(crate) use self::temp_file::StorageFailed;

use self::temp_file::TempFile;

/// Maximum size of a body that takes no room (256 KiB).
pub(crate) const SMALL: u64 = 256 * 1024;

/// Number of bytes that are collected before they are kept (64 KiB). The first of them stay in memory, where ids are looked
/// for.
const STEP: usize = 64 * 1024;

/// A body that has arrived, and the memory that it takes.
pub(crate) struct Kept {
    pub(crate) body: ReplayBody,
    pub(crate) room: Option<Room>,
}

/// The part of a body that has arrived.
struct Arrived<'a> {
    budget: &'a BodyBudget,
    /// Length of the whole body, if it is known.
    length: Option<u64>,
    /// The memory that it may take. `None`: none is free.
    room: Option<Room>,
    /// The pieces that are in memory: all, or the first.
    pieces: Vec<Bytes>,
    /// The file with the other pieces, and its length.
    file: Option<(TempFile, u64)>,
}

/// Keeps a body as it arrives: in memory as long as `room` can grow, then in a temporary file. `see` is called with its
/// data. Fails with the error of the body, with [`StorageFailed`], or with [`NoRoom`].
pub(crate) async fn keep<B>(
    mut body: B,
    (budget, room): (&BodyBudget, Option<Room>),
    length: Option<u64>,
    mut see: impl FnMut(&[u8]),
) -> Result<Kept, BoxError>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BoxError>,
{
    let mut arrived = Arrived { budget, length, room, pieces: Vec::new(), file: None };
    let mut step = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let mut data = frame.map_err(Into::into)?.into_data().unwrap_or_default();
        see(&data);
        while !data.is_empty() {
            step.extend_from_slice(&data.split_to(data.len().min(STEP - step.len())));
            if step.len() == STEP {
                arrived.keep(step.split().freeze()).await?;
            }
        }
    }
    if !step.is_empty() {
        arrived.keep(step.freeze()).await?;
    }
    Ok(arrived.finish())
}

// === impl Arrived ===

impl Arrived<'_> {
    async fn keep(&mut self, piece: Bytes) -> Result<(), BoxError> {
        if self.file.is_none() && (self.pieces.is_empty() || self.has_memory(piece.len())) {
            self.pieces.push(piece);
            return Ok(());
        }
        if self.file.is_none() {
            let room = self.budget.disk(self.length)?;
            self.file = Some((TempFile::create(room).await?, 0));
            // Memory that this body has no use for is free for others at once.
            self.room = None;
            for piece in self.pieces.split_off(1) {
                self.write(piece).await?;
            }
        }
        self.write(piece).await
    }

    /// Takes memory for more bytes, if there is some.
    fn has_memory(&mut self, more: usize) -> bool {
        let len = (self.pieces.iter().map(Bytes::len).sum::<usize>() + more) as u64;
        let is_small = len <= SMALL && self.length.is_none_or(|length| length <= SMALL);
        is_small || self.room.as_mut().is_some_and(|room| room.grow(len).is_ok())
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), BoxError> {
        if let Some((file, len)) = &mut self.file {
            let written = piece.len() as u64;
            file.write(piece, *len).await?;
            *len += written;
        }
        Ok(())
    }

    fn finish(mut self) -> Kept {
        let pieces = mem::take(&mut self.pieces);
        let body = match self.file {
            None => ReplayBody::from(pieces),
            Some((file, len)) => ReplayBody::stored(pieces.into_iter().next().unwrap_or_default(), file, len),
        };
        Kept { body, room: self.room }
    }
}
