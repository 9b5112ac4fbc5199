//! Bodies of requests that are too large to be kept in memory.
//!
//! A body is kept until its request has a response, so that it can be sent again. Bodies above 256 KiB take their memory
//! from a budget. A body that finds no room there is written to an unnamed temporary file, and sent from it. The files
//! together have a limit, too; a request that would exceed it is refused.

mod budget;
mod temp_file;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tower::BoxError;
use tower_key_rotation::body::ReplayBody;

pub(crate) use self::budget::{BodyBudget, NoRoom, Room};
pub(crate) use self::temp_file::StorageFailed;

use self::temp_file::TempFile;

/// Number of bytes at the beginning of a body that stay in memory, where its ids are looked for (64 KiB).
const START: usize = 64 * 1024;

/// Number of bytes that are collected before they are written (64 KiB).
const STEP: usize = 64 * 1024;

/// Reads a body of up to `most` bytes into a temporary file, unless it turns out to be small. Fails with the error of the
/// body, with [`StorageFailed`], or with [`NoRoom`].
pub(crate) async fn spool<B>(mut body: B, most: u64, budget: &BodyBudget) -> Result<ReplayBody, BoxError>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BoxError>,
{
    let (mut start, mut unwritten) = (BytesMut::new(), BytesMut::new());
    let mut stored: Option<(TempFile, u64)> = None;
    while let Some(frame) = body.frame().await {
        let mut data = frame.map_err(Into::into)?.into_data().unwrap_or_default();
        start.extend_from_slice(&data.split_to(data.len().min(START - start.len())));
        unwritten.extend_from_slice(&data);
        if unwritten.len() >= STEP {
            stored = Some(write(stored, unwritten.split().freeze(), most, budget).await?);
        }
    }
    if unwritten.is_empty() && stored.is_none() {
        return Ok(start.freeze().into());
    }
    let (file, len) = write(stored, unwritten.freeze(), most, budget).await?;
    Ok(ReplayBody::stored(start.freeze(), file, len))
}

/// Writes data to the end of a file, which is created if there is none. Returns the file and its length.
async fn write(
    stored: Option<(TempFile, u64)>,
    data: Bytes,
    most: u64,
    budget: &BodyBudget,
) -> Result<(TempFile, u64), BoxError> {
    let (file, len) = match stored {
        Some(stored) => stored,
        None => (TempFile::create(budget.disk(most)?).await?, 0),
    };
    let written = data.len() as u64;
    file.write(data).await?;
    Ok((file, len + written))
}
