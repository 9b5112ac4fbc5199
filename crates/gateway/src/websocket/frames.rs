//! The frames that pass to one side: where one ends, and the close frame.

/// Opcode of a close frame (RFC 6455, 5.5.1).
const CLOSE: u8 = 8;

/// Size of the longest header of a frame: two bytes, eight of the length, four of the mask.
const LONGEST: usize = 14;

/// Maximum length of the payload of a close frame, in bytes (RFC 6455, section 5.5).
const LONGEST_CLOSE: u8 = 125;

/// Follows the frames of one direction up to the close frame. Payloads are skipped.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    /// Rest of the payload, in bytes.
    left: u64,
    has_data: bool,
    is_closed: bool,
}

/// A close frame as it arrives.
#[derive(Debug, Default)]
pub(super) struct Closing(Vec<u8>);

/// A close frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Close {
    /// 1005 if the frame has none.
    pub(super) code: u16,
    pub(super) reason: String,
}

// === impl Frames ===

impl Frames {
    /// Follows the next bytes, up to a close frame. Returns the number of bytes before it.
    pub(super) fn see(&mut self, bytes: &[u8]) -> usize {
        let mut seen = 0;
        while let Some(next) = bytes.get(seen).filter(|_| !self.is_closed) {
            if self.left > 0 {
                let rest = (bytes.len() - seen) as u64;
                let payload = self.left.min(rest);
                self.left -= payload;
                seen += usize::try_from(payload).unwrap_or(usize::MAX);
            } else if self.header.is_empty() && next & 0x0f == CLOSE {
                self.is_closed = true;
            } else {
                self.header.push(*next);
                seen += 1;
                self.begin();
            }
        }
        seen
    }

    /// Returns whether a frame may follow: the last one is complete, and is no close frame.
    pub(super) const fn may_add(&self) -> bool {
        self.header.is_empty() && self.left == 0 && !self.is_closed
    }

    /// Returns whether a close frame has begun.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns whether a message has begun.
    pub(super) const fn has_data(&self) -> bool {
        self.has_data
    }

    /// Begins the payload, if the header is complete.
    fn begin(&mut self) {
        let [first, second, more @ ..] = self.header.as_slice() else { return };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (of_length, short) = match second & 0x7f {
            126 => (2, None),
            127 => (8, None),
            length => (0, Some(u64::from(length))),
        };
        let Some(length) = more.get(..of_length).filter(|_| more.len() >= of_length + mask) else { return };
        let long = length.iter().fold(0, |length: u64, byte| length << 8 | u64::from(*byte));
        self.left = short.unwrap_or(long);
        self.has_data |= first & 0x0f < CLOSE;
        self.header.clear();
        debug_assert!(self.header.capacity() <= 2 * LONGEST, "a header is short");
    }
}

// === impl Closing ===

impl Closing {
    /// Takes the next bytes of the frame. Returns their number.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let before = self.0.len();
        for byte in bytes {
            if self.is_complete() {
                break;
            }
            self.0.push(*byte);
        }
        self.0.len() - before
    }

    /// Returns whether the frame has arrived. One that no server may send (in fragments, masked, or too long) has no end.
    pub(super) fn is_complete(&self) -> bool {
        let [_, length, payload @ ..] = self.0.as_slice() else { return false };
        self.is_invalid() || payload.len() >= usize::from(*length)
    }

    fn is_invalid(&self) -> bool {
        let is_whole = self.0.first().is_none_or(|first| *first == 0x80 | CLOSE);
        !is_whole || self.0.get(1).is_some_and(|length| *length > LONGEST_CLOSE)
    }

    /// Returns the frame, with the payload that `change` returns if it has the same length. An invalid frame is replaced.
    pub(super) fn bytes(&self, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
        if self.is_invalid() {
            return Close::frame(1002, "the provider sent an invalid close frame");
        }
        let (header, payload) = self.0.split_at(self.0.len().min(2));
        let changed = change(payload).filter(|changed| changed.len() == payload.len());
        [header, changed.as_deref().unwrap_or(payload)].concat()
    }

    /// Returns the content of the frame.
    pub(super) fn read(&self) -> Close {
        let payload = self.0.get(2..).unwrap_or_default();
        let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
        Close { code, reason }
    }
}

// === impl Close ===

impl Close {
    /// Returns a close frame of a server. The reason has at most 123 bytes.
    pub(super) fn frame(code: u16, reason: &'static str) -> Vec<u8> {
        let reason = &reason.as_bytes()[..reason.len().min(123)];
        let length = u8::try_from(reason.len() + 2).unwrap_or_default();
        [&[0x80 | CLOSE, length][..], &code.to_be_bytes(), reason].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_followed_in_pieces_of_any_size() {
        let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70][..], &vec![7; 70_000]].concat();
        let masked = [0x81, 0x82, 1, 2, 3, 4, 0, 0];
        let medium = [&[0x81, 126, 0, 200][..], &[7; 200]].concat();
        let all = [&long[..], &masked, &medium, &[0x89, 0]].concat();
        for size in [1, 3, 1_000, all.len()] {
            let mut frames = Frames::default();
            let mut ends = 0;
            for piece in all.chunks(size) {
                assert_eq!(frames.see(piece), piece.len());
                ends += usize::from(frames.may_add());
            }
            assert!(frames.may_add() && frames.has_data(), "{size}: {frames:?}");
            assert!(size > 1 || ends == 4, "{ends}");
        }
    }

    #[test]
    fn a_close_frame_is_found_and_read_in_pieces_of_any_size() {
        let close = Close::frame(1011, "You exceeded your current quota");
        let all = [&[0x81, 1, b'x'][..], &close, b"more"].concat();
        for size in 1..all.len() {
            let (mut frames, mut closing, mut rest) = (Frames::default(), Closing::default(), 0);
            for piece in all.chunks(size) {
                let plain = frames.see(piece);
                let taken = if frames.is_closed() { closing.take(&piece[plain..]) } else { 0 };
                rest += piece.len() - plain - taken;
            }
            assert!(closing.is_complete() && !frames.may_add());
            let read = Close { code: 1011, reason: "You exceeded your current quota".into() };
            assert_eq!((closing.read(), rest), (read, 4));
            assert_eq!(closing.bytes(|_| None), close);
            assert!(closing.bytes(|payload| Some(vec![b'*'; payload.len()])).ends_with(b"***"));
        }
    }

    #[test]
    fn close_frames_of_all_lengths_are_read() {
        let closing = |bytes: &[u8]| {
            let mut closing = Closing::default();
            closing.take(bytes);
            (closing.is_complete(), closing.read().code)
        };
        assert_eq!(closing(&[0x88, 0]), (true, 1005));
        assert_eq!(closing(&[0x88, 1, 3]), (true, 1005));
        assert_eq!(closing(&[0x88, 2, 3]), (false, 1005));
        assert_eq!(closing(&[0x88, 2, 3, 232]), (true, 1000));
        assert_eq!(closing(&[0x88, 126, 1, 0]), (true, 1005), "too long");
        assert_eq!(closing(&[0x88, 0x82, 1, 2, 3, 4, 3, 232]), (true, 1005), "masked");
        assert_eq!(closing(&[0x08, 2, 3, 232]), (true, 1005), "a fragment");
        assert_eq!(closing(&[0xc8, 2, 3, 232]), (true, 1005), "compressed");
    }
}
