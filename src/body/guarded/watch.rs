//! What passed, what it means, and what the end is worth.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tower::BoxError;

use super::StreamError;
use crate::body::meter::{Completion, Ending, Usage};
use crate::body::sse::{Decoder, Event};

/// Where the usage of an answer is left when its body has come to its end. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct UsageCell(Arc<OnceLock<Left>>);

/// What is left of a body that tells its usage.
enum Left {
    /// An answer, which only whoever asks for the usage parses.
    Answer(Bytes),
    Counted(Usage),
}

/// Reads what passes.
pub(super) struct Watch {
    content: Content,
    usage: Option<Usage>,
    cell: UsageCell,
    over: bool,
}

enum Content {
    Events {
        decoder: Decoder,
        completion: Completion,
    },
    /// The beginning of an answer that is read for its usage; `None`: it is too long, or no JSON.
    Answer(Option<Bytes>),
}

/// How a body came to its end.
pub(super) enum End {
    Clean,
    Broken(BoxError),
    Silent(Option<Duration>),
}

/// How long to wait when nothing comes.
pub(super) enum Patience {
    /// As long as is allowed.
    Limit,
    /// As long as what may follow a complete answer takes.
    Grace,
    /// As long as the end of a connection's framing takes.
    Linger,
}

/// An answer that is longer is not read for its usage.
const MAX_ANSWER: usize = 64 * 1024;

// === impl UsageCell ===

impl UsageCell {
    /// The usage, once it is known.
    pub(crate) fn get(&self) -> Option<Usage> {
        match self.0.get()? {
            Left::Answer(answer) => Usage::from_answer(answer),
            Left::Counted(usage) => Some(*usage),
        }
    }

    fn leave(&self, left: Left) {
        // Whoever was first has seen the same body.
        let _known = self.0.set(left);
    }
}

impl fmt::Debug for UsageCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UsageCell").field(&self.get()).finish()
    }
}

// === impl Watch ===

impl Watch {
    pub(super) fn events(cell: UsageCell) -> Self {
        let content = Content::Events { decoder: Decoder::new(), completion: Completion::default() };
        Self { content, usage: None, cell, over: false }
    }

    pub(super) fn answer(cell: UsageCell) -> Self {
        Self { content: Content::Answer(Some(Bytes::new())), usage: None, cell, over: false }
    }

    pub(super) fn see(&mut self, data: &Bytes) {
        match &mut self.content {
            Content::Events { decoder, completion } => {
                decoder.push(data.clone());
                loop {
                    match decoder.next_event() {
                        Ok(Some(event)) => take(&event, completion, &mut self.usage),
                        Ok(None) => break,
                        // An event too large to be read is no terminator.
                        Err(_overflow) => {}
                    }
                }
            }
            Content::Answer(answer) => keep(answer, data),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) const fn is_events(&self) -> bool {
        matches!(self.content, Content::Events { .. })
    }

    /// Whether the end would be a clean one if it were now.
    pub(super) fn may_end(&self) -> bool {
        match &self.content {
            Content::Events { decoder, completion } => {
                let sound = !completion.has_failed() && !completion.is_malformed() && !completion.is_cut();
                sound && !decoder.is_inside_event()
            }
            Content::Answer(_) => true,
        }
    }

    pub(super) const fn patience(&self) -> Patience {
        match &self.content {
            Content::Answer(_) => Patience::Limit,
            Content::Events { completion, .. } => match completion.ending() {
                Ending::Last => Patience::Linger,
                _ if completion.has_failed() || completion.is_malformed() => Patience::Grace,
                _ if completion.is_certain() => Patience::Grace,
                Ending::Open | Ending::Finished => Patience::Limit,
            },
        }
    }

    /// Takes note of the end; what it is worth, if not what it seems.
    pub(super) fn end(&mut self, end: End) -> Option<StreamError> {
        self.over = true;
        // An event that the end has cut is no document either, but that is the end's fault.
        let malformed =
            matches!(&self.content, Content::Events { completion, .. } if completion.is_malformed());
        if let Content::Events { decoder, completion } = &mut self.content
            && let Some(event) = decoder.finish()
        {
            take(&event, completion, &mut self.usage);
        }
        self.settle();
        if let Content::Events { completion, .. } = &self.content {
            if completion.has_failed() {
                return Some(StreamError::Failed);
            }
            if malformed {
                return Some(StreamError::Malformed);
            }
            if completion.is_certain() {
                return None;
            }
        }
        match (end, &self.content) {
            (End::Broken(source), _) => Some(StreamError::Broken(source)),
            (End::Silent(limit), _) => Some(StreamError::Idle(limit.unwrap_or_default())),
            (End::Clean, Content::Events { completion, .. }) => {
                completion.is_cut().then_some(StreamError::Truncated)
            }
            (End::Clean, Content::Answer(_)) => None,
        }
    }

    fn settle(&mut self) {
        if let Content::Answer(answer) = &mut self.content
            && let Some(answer) = answer.take()
        {
            self.cell.leave(Left::Answer(answer));
        }
        if let Some(usage) = self.usage.take() {
            self.cell.leave(Left::Counted(usage));
        }
    }
}

impl Drop for Watch {
    /// Readers that know the protocol stop at the terminator, and never ask for the end.
    fn drop(&mut self) {
        self.settle();
    }
}

fn take(event: &Event, completion: &mut Completion, usage: &mut Option<Usage>) {
    completion.see(event);
    if let Some(later) = Usage::from_event(event) {
        usage.get_or_insert_default().merge(later);
    }
}

fn keep(answer: &mut Option<Bytes>, data: &Bytes) {
    let Some(kept) = answer else { return };
    let starts = kept.iter().chain(data).find(|byte| !byte.is_ascii_whitespace());
    let is_json = starts.is_none_or(|byte| matches!(byte, b'{' | b'['));
    if !is_json || kept.len() + data.len() > MAX_ANSWER {
        *answer = None;
    } else if kept.is_empty() {
        *kept = data.clone();
    } else {
        *kept = [&**kept, data].concat().into();
    }
}
