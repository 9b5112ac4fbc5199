//! The memory and the room on disk that the bodies of requests may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ServerSettings;

/// Default maximum of memory for bodies (64 MiB).
const MEMORY: u64 = 64 * 1024 * 1024;

/// Default maximum of room on disk for bodies (4 GiB).
const DISK: u64 = 4 * 1024 * 1024 * 1024;

/// Number of bytes of one permit (4 KiB).
const UNIT: u64 = 4 * 1024;

/// The memory and the room on disk that all bodies together may take.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    memory: Share,
    disk: Share,
}

/// Room for one body, which is free again when this is dropped. It may grow as the body arrives.
pub(crate) struct Room {
    share: Share,
    permit: OwnedSemaphorePermit,
}

/// The reason for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("other bodies take the room")]
    Now,
    #[error("the body is larger than all the room")]
    Ever,
}

#[derive(Clone)]
struct Share {
    free: Arc<Semaphore>,
    units: u32,
}

// === impl BodyBudget ===

impl BodyBudget {
    pub(crate) fn new(server: &ServerSettings) -> Self {
        Self {
            // One unit at least, so that bodies that have to be in memory take turns.
            memory: Share::new(server.max_body_memory().unwrap_or(MEMORY).max(UNIT)),
            disk: Share::new(server.max_body_disk().unwrap_or(DISK)),
        }
    }

    /// Takes memory for a body, if it is free.
    pub(crate) fn memory(&self, bytes: u64) -> Option<Room> {
        self.memory.take(bytes).ok()
    }

    /// Waits for memory for a body. A body that is larger than all of it takes all.
    pub(crate) async fn wait_for_memory(&self, bytes: u64) -> Option<Room> {
        let units = units(bytes).min(self.memory.units);
        let permit = Arc::clone(&self.memory.free).acquire_many_owned(units).await.ok()?;
        Some(Room { share: self.memory.clone(), permit })
    }

    /// Returns room on disk for a body, which has to [grow](Room::grow). Fails if a body of `length` bytes finds no room
    /// now. Room is not reserved for bytes that have not arrived: callers that send slowly would take it from others.
    pub(crate) fn disk(&self, length: Option<u64>) -> Result<Room, NoRoom> {
        self.disk.look(length.unwrap_or_default())?;
        self.disk.take(0)
    }
}

// === impl Room ===

impl Room {
    /// Takes what is missing for `bytes`, if it is free. Does not wait: bodies that wait for each other's room would never
    /// get it.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let units = units(bytes);
        if units > self.share.units {
            return Err(NoRoom::Ever);
        }
        let taken = u32::try_from(self.permit.num_permits()).unwrap_or(u32::MAX);
        self.permit.merge(self.share.acquire(units.saturating_sub(taken))?);
        Ok(())
    }
}

// === impl Share ===

impl Share {
    fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Looks whether room is free, and takes none.
    fn look(&self, bytes: u64) -> Result<(), NoRoom> {
        match units(bytes) {
            units if units > self.units => Err(NoRoom::Ever),
            units if units as usize > self.free.available_permits() => Err(NoRoom::Now),
            _ => Ok(()),
        }
    }

    fn take(&self, bytes: u64) -> Result<Room, NoRoom> {
        let units = units(bytes);
        if units > self.units {
            return Err(NoRoom::Ever);
        }
        Ok(Room { share: self.clone(), permit: self.acquire(units)? })
    }

    fn acquire(&self, units: u32) -> Result<OwnedSemaphorePermit, NoRoom> {
        Arc::clone(&self.free).try_acquire_many_owned(units).map_err(|_taken| NoRoom::Now)
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_taken_and_given_back() {
        let share = Share::new(10 * UNIT);
        let first = share.take(6 * UNIT + 1);
        assert_eq!(share.take(4 * UNIT).err(), Some(NoRoom::Now));
        assert_eq!(share.take(11 * UNIT).err(), Some(NoRoom::Ever));
        drop(first);
        assert!(share.take(10 * UNIT).is_ok());
    }

    #[tokio::test]
    async fn room_grows_and_is_given_back_as_a_whole() {
        let share = Share::new(10 * UNIT);
        let mut room = share.take(0).ok().unwrap();
        assert!(share.take(10 * UNIT).is_ok(), "room without bytes takes nothing");
        for bytes in [1, UNIT, 3 * UNIT, 2 * UNIT] {
            assert_eq!(room.grow(bytes), Ok(()));
        }
        assert_eq!(share.free.available_permits(), 7);
        let other = share.take(7 * UNIT);
        assert_eq!((room.grow(4 * UNIT), room.grow(11 * UNIT)), (Err(NoRoom::Now), Err(NoRoom::Ever)));
        drop((other, room));
        assert_eq!(share.free.available_permits(), 10);
    }
}
