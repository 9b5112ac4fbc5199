//! The frames that pass to the caller: where one ends, and the close frame.

/// Opcode of a close frame (RFC 6455, 5.5.1).
const CLOSE: u8 = 8;

/// Size of the longest header of a frame: two bytes, eight of the length, four of the mask.
const LONGEST: usize = 14;

/// Follows the frames of one direction. Payloads are skipped, except for that of the close frame.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    opcode: u8,
    /// Rest of the payload, in bytes.
    left: u64,
    close: Vec<u8>,
    has_data: bool,
    is_closed: bool,
}

/// Maximum length of the payload of a close frame, in bytes (RFC 6455, section 5.5).
const LONGEST_CLOSE: usize = 125;

/// A close frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Close {
    /// 1005 if the frame has none.
    pub(super) code: u16,
    pub(super) reason: String,
}

// === impl Frames ===

impl Frames {
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let (payload, behind) =
                    bytes.split_at(bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)));
                if self.opcode == CLOSE {
                    let room = LONGEST_CLOSE.saturating_sub(self.close.len());
                    self.close.extend_from_slice(&payload[..payload.len().min(room)]);
                }
                self.left -= payload.len() as u64;
                bytes = behind;
            } else {
                self.header.push(*first);
                self.begin();
                bytes = rest;
            }
        }
    }

    /// Returns whether a frame may follow: the last one is complete, and is no close frame.
    pub(super) const fn may_add(&self) -> bool {
        self.header.is_empty() && self.left == 0 && !self.is_closed
    }

    /// Returns the close frame, if no data came before it: the provider refused what the caller asked for.
    pub(super) fn refusal(&self) -> Option<Close> {
        let is_refusal = self.is_closed && !self.has_data && self.left == 0;
        is_refusal.then(|| Close::read(&self.close))
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
        (self.opcode, self.left) = (first & 0x0f, short.unwrap_or(long));
        self.is_closed |= self.opcode == CLOSE;
        self.has_data |= self.opcode < CLOSE;
        self.header.clear();
        debug_assert!(self.header.capacity() <= 2 * LONGEST, "a header is short");
    }
}

// === impl Close ===

impl Close {
    fn read(payload: &[u8]) -> Self {
        let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
        Self { code, reason }
    }

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
                frames.see(piece);
                ends += usize::from(frames.may_add());
            }
            assert!(frames.may_add() && frames.has_data, "{size}: {frames:?}");
            assert!(size > 1 || ends == 4, "{ends}");
        }
    }

    #[test]
    fn a_close_frame_before_data_is_a_refusal() {
        let close = Close::frame(1011, "You exceeded your current quota");
        let mut frames = Frames::default();
        close.iter().for_each(|byte| frames.see(&[*byte]));
        assert!(!frames.may_add());
        let refusal = Close { code: 1011, reason: "You exceeded your current quota".into() };
        assert_eq!(frames.refusal(), Some(refusal));

        let mut frames = Frames::default();
        frames.see(&[0x81, 1, b'x']);
        frames.see(&close);
        assert_eq!(frames.refusal(), None);
        let mut frames = Frames::default();
        frames.see(&[0x88, 0]);
        assert_eq!(frames.refusal(), Some(Close { code: 1005, reason: String::new() }));
    }
}
