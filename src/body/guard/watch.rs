//! Monitoring of a body: its usage, its completeness, and the meaning of its end.

use std::time::Duration;

use bytes::Bytes;
use tower::BoxError;

use crate::body::guard::events::Events;
use crate::body::guard::in_band::{EventDialect, InBand};
use crate::body::guard::outline::{Outline, Shape};
use crate::body::guard::usage_slot::{BodyEnd, BodyRemainder, UsageSlot};
use crate::body::guard::{StreamError, StreamErrorKind};
use crate::body::meter::{Completion, Ending};
use crate::body::sse::begins_stream;

/// Reads a body as it passes.
pub(super) struct StreamMonitor {
    content: Content,
    /// The slot for the usage. `None`: there is none, or the usage was stored already.
    slot: Option<UsageSlot>,
    /// Whether the body can't be read here. Another layer that can read it stores the usage.
    holds: bool,
    over: bool,
    /// Whether the last data were nothing but blanks, by which servers keep a connection alive.
    idle: bool,
    /// The outline of a body whose end is checked.
    outline: Option<Outline>,
    /// Whether the first data may show that the body is an event stream.
    may_be_events: bool,
}

enum Content {
    /// An event stream. Boxed, because most responses are none.
    Events(Box<Events>),
    /// The beginning of a response that is read for its usage. `None`: it is too long, or not JSON.
    Json(Option<Bytes>),
}

/// The way in which a body ended.
pub(super) enum End {
    Clean,
    Broken(BoxError),
    Malformed,
    Silent(Option<Duration>),
}

/// The kind of pause that is allowed at this point of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllowedIdle {
    /// The idle timeout.
    Limit,
    /// The time for data that may follow a complete response.
    Grace,
    /// The time for the end of a connection's framing.
    Linger,
}

/// Maximum number of bytes of a response that are read for its usage (64 KiB).
const MAX_ANSWER: usize = 64 * 1024;

// === impl StreamMonitor ===

impl StreamMonitor {
    /// Creates a monitor. `streamed`: events can be read. `strict`: the end is checked.
    pub(super) fn new(streamed: bool, strict: bool, slot: Option<UsageSlot>) -> Self {
        let content = if streamed && (strict || slot.is_some()) {
            Content::Events(Box::new(Events::new(strict)))
        } else {
            Content::Json(slot.is_some().then(Bytes::new))
        };
        Self { content, slot, holds: false, over: false, idle: false, outline: None, may_be_events: false }
    }

    /// Creates a monitor that reads nothing.
    pub(super) const fn holding(slot: UsageSlot) -> Self {
        Self {
            content: Content::Json(None),
            slot: Some(slot),
            holds: true,
            over: false,
            idle: false,
            outline: None,
            may_be_events: false,
        }
    }

    pub(super) fn tell_errors(&mut self, supposed: EventDialect) {
        if let Content::Events(events) = &mut self.content {
            events.in_band = Some(InBand::new(supposed));
        }
    }

    /// Checks that a body of this shape has come to its end, and looks whether it is an event stream.
    pub(super) fn expect(&mut self, shape: Shape) {
        self.outline = Outline::of(shape);
        self.may_be_events = !self.is_events();
    }

    fn is_cut(&self) -> bool {
        self.outline.as_ref().is_some_and(Outline::is_cut)
            || self.completion().is_some_and(Completion::is_cut)
    }

    /// Returns whether an event of this crate may follow those of the body.
    pub(super) fn tells_errors(&self) -> bool {
        matches!(&self.content, Content::Events(events) if events.in_band.is_some())
    }

    /// Reads data, and looks for content in them if `looks`. If the end is checked and an event is malformed,
    /// returns the number of bytes up to the end of that event.
    pub(super) fn see(&mut self, data: &Bytes, looks: bool) -> Option<usize> {
        let metered = self.is_metered();
        let is_blank = data.trim_ascii().is_empty();
        // What is held back has its deadline.
        self.idle = is_blank && (data.is_empty() || !self.is_held_back());
        let is_held = self.outline.is_some() && self.is_held_back();
        if let Some(outline) = &mut self.outline {
            outline.see(data, is_held);
        }
        if self.may_be_events && !is_blank {
            self.may_be_events = false;
            if begins_stream(data) {
                self.content = Content::Events(Box::new(Events::new(true)));
            }
        }
        match &mut self.content {
            Content::Events(events) => return events.see(data, metered, looks),
            Content::Json(response) if metered => keep(response, data),
            Content::Json(response) => *response = None,
        }
        None
    }

    /// Returns the event that reports an error. No event follows an error of the provider itself.
    pub(super) fn last_event(&self, error: &BoxError) -> Option<Bytes> {
        let Content::Events(events) = &self.content else { return None };
        let in_band = events.in_band.as_ref()?;
        let (kind, message) = match error.downcast_ref::<StreamError>() {
            Some(StreamError::Failed) => return None,
            Some(error) => (error.kind(), error.to_string()),
            None => (StreamErrorKind::Broken, "the connection to the provider broke".to_owned()),
        };
        Some(in_band.event(kind, &message, events.cut))
    }

    fn is_held_back(&self) -> bool {
        self.slot.as_ref().is_some_and(UsageSlot::is_held_back)
    }

    /// Returns whether the usage may be asked for. Once it may not, it never will be.
    fn is_metered(&self) -> bool {
        !self.holds && self.slot.as_ref().is_some_and(UsageSlot::is_of_use)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) const fn is_events(&self) -> bool {
        matches!(self.content, Content::Events(_))
    }

    /// Returns whether the end of the body is checked by its outline.
    pub(super) const fn has_outline(&self) -> bool {
        self.outline.is_some()
    }

    /// Returns whether the last data only kept the connection alive: they were blank, or contained no event and
    /// no part of one. If content was looked for: they contained no event with content.
    pub(super) fn is_idle(&self) -> bool {
        match &self.content {
            Content::Events(events) => events.idle,
            Content::Json(_) => self.idle,
        }
    }

    /// Returns whether an end at this point would be a clean one.
    pub(super) fn may_end(&self) -> bool {
        match &self.content {
            Content::Events(events) => events.may_end(),
            Content::Json(_) => !self.is_cut(),
        }
    }

    pub(super) fn allowed_idle(&self) -> AllowedIdle {
        match self.completion() {
            None => AllowedIdle::Limit,
            Some(completion) => match completion.ending() {
                Ending::Last => AllowedIdle::Linger,
                _ if completion.has_failed() => AllowedIdle::Grace,
                _ if completion.is_certain() => AllowedIdle::Grace,
                Ending::Open | Ending::Finished => AllowedIdle::Limit,
            },
        }
    }

    fn completion(&self) -> Option<&Completion> {
        match &self.content {
            Content::Events(events) => events.completion.as_ref(),
            Content::Json(_) => None,
        }
    }

    /// Records the end. Returns the error that it amounts to, if any.
    pub(super) fn end(&mut self, end: End) -> Option<StreamError> {
        self.read_rest();
        let worth = self.worth(end);
        self.settle(worth.as_ref().map_or(BodyEnd::Complete, |error| BodyEnd::Failed(error.kind())));
        worth
    }

    fn worth(&self, end: End) -> Option<StreamError> {
        let completion = self.completion();
        if completion.is_some_and(Completion::has_failed) {
            return Some(StreamError::Failed);
        }
        if matches!(end, End::Malformed) {
            return Some(StreamError::Malformed);
        }
        if completion.is_some_and(Completion::is_certain) {
            return None;
        }
        match end {
            End::Broken(source) => Some(StreamError::Broken(source)),
            End::Silent(limit) => Some(StreamError::Idle(limit.unwrap_or_default())),
            End::Clean | End::Malformed => self.is_cut().then_some(StreamError::Truncated),
        }
    }

    /// Records an end that is not checked.
    pub(super) fn finish(&mut self, end: BodyEnd) {
        self.read_rest();
        self.settle(end);
    }

    /// Reads the event that the end has cut.
    fn read_rest(&mut self) {
        let metered = self.is_metered();
        if let Content::Events(events) = &mut self.content {
            events.finish(metered);
        }
    }

    /// Settles the usage, once: the body has ended, or is not read any more.
    fn settle(&mut self, end: BodyEnd) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let left = match &mut self.content {
            Content::Events(events) => events.usage.map(BodyRemainder::Counted),
            Content::Json(response) => response.take().map(BodyRemainder::Json),
        };
        if let Some(slot) = self.slot.take().filter(|_| !self.holds) {
            slot.leave(left, end);
        }
    }
}

impl Drop for StreamMonitor {
    /// Readers that know the protocol stop at the terminator, and never poll for the end.
    fn drop(&mut self) {
        let end = if self.may_end() { BodyEnd::Complete } else { BodyEnd::Abandoned };
        self.settle(end);
    }
}

fn keep(response: &mut Option<Bytes>, data: &Bytes) {
    let Some(kept) = response else { return };
    let starts = kept.iter().chain(data).find(|byte| !byte.is_ascii_whitespace());
    let is_json = starts.is_none_or(|byte| matches!(byte, b'{' | b'['));
    if !is_json || kept.len() + data.len() > MAX_ANSWER {
        *response = None;
    } else if kept.is_empty() {
        *kept = data.clone();
    } else {
        *kept = [&**kept, data].concat().into();
    }
}
