//! Reading the events of a stream as they pass.

use bytes::Bytes;

use crate::body::guard::in_band::InBand;
use crate::body::meter::{Completion, Progress, Usage, progress};
use crate::body::sse::{Decoder, Event};

/// Reads the events of a stream.
pub(super) struct Events {
    decoder: Decoder,
    /// `None`: the end is not checked.
    pub(super) completion: Option<Completion>,
    pub(super) usage: Option<Usage>,
    /// `None`: errors are not reported in the stream.
    pub(super) in_band: Option<InBand>,
    /// Whether the end has cut an event.
    pub(super) cut: bool,
    /// Whether the last data were nothing but keep-alives.
    pub(super) idle: bool,
}

// === impl Events ===

impl Events {
    /// Creates a reader. `strict`: the end is checked.
    pub(super) fn new(strict: bool) -> Self {
        Self {
            decoder: Decoder::new(),
            completion: strict.then(Completion::default),
            usage: None,
            in_band: None,
            cut: false,
            idle: false,
        }
    }

    pub(super) fn see(&mut self, data: &Bytes, metered: bool, looks: bool) -> Option<usize> {
        if self.completion.is_none() && self.in_band.is_none() && !metered {
            return None;
        }
        let before = self.decoder.pending();
        self.decoder.push(data.clone());
        self.idle = true;
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => {
                    self.idle &= looks && progress(&event) == Progress::Preamble;
                    self.take(&event, metered);
                }
                Ok(None) => {
                    self.idle &= self.decoder.pending() <= before;
                    return None;
                }
                // An event that is too large to be read is not a terminator.
                Err(_overflow) => self.idle = false,
            }
            if self.completion.as_ref().is_some_and(Completion::is_malformed) {
                return Some(data.len().saturating_sub(self.decoder.remaining()));
            }
        }
    }

    pub(super) fn finish(&mut self, metered: bool) {
        // Data behind a malformed event have not passed.
        self.cut = self.decoder.remaining() == 0 && self.decoder.is_inside_event();
        if let Some(event) = self.decoder.finish() {
            self.take(&event, metered);
        }
    }

    fn take(&mut self, event: &Event, metered: bool) {
        if let Some(in_band) = &mut self.in_band {
            in_band.see(event);
        }
        if let Some(completion) = &mut self.completion {
            completion.see(event);
        }
        if let Some(later) = Some(event).filter(|_| metered).and_then(Usage::from_event) {
            self.usage.get_or_insert_default().merge(later);
        }
    }

    pub(super) fn may_end(&self) -> bool {
        let sound = |completion: &Completion| {
            !completion.has_failed() && !completion.is_malformed() && !completion.is_cut()
        };
        self.completion.as_ref().is_none_or(sound) && !self.decoder.is_inside_event()
    }
}
