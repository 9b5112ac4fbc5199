//! The faults: a response, the point in it up to which it is sent, and the action that follows.

use std::fmt;

use tower_key_rotation::fallback::Commit;

/// Bytes that are neither HTTP, nor an event, nor JSON.
pub(crate) const GARBAGE: &[u8] = b"\x00\xff}{ garbage \r\n\r\n\xfe";

/// The action at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is closed cleanly.
    Cut,
    /// The connection stays open, and nothing more is sent.
    Stall,
    /// [`GARBAGE`] is sent, and the connection is closed.
    Garbage,
    /// The connection is reset.
    Reset,
}

/// The point up to which the response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    BeforeHead,
    InHead,
    AfterHead,
    /// After an event without content; of a JSON response, after its first byte.
    BeforeContent,
    /// In the first event with content; of a JSON response, half way through.
    MidContent,
    AfterContent,
    MidEvent,
    BetweenEvents,
    /// After the event that ends the response, before `[DONE]`; of a JSON response, before its last byte.
    BeforeTerminator,
    /// After `[DONE]`, before the body has ended.
    AfterTerminator,
    /// The whole response was sent.
    Whole,
}

/// The kind of the response, and the way in which its end is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    StreamInChunks,
    /// Ends with the connection.
    StreamToClose,
    JsonWithLength,
    JsonInChunks,
    JsonToClose,
    /// A status 500 with a JSON body of a stated length.
    Error,
}

/// The provider behind the one that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Nothing,
    /// A provider that serves.
    Well,
    /// A provider that closes each connection before the head.
    Down,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) point: Point,
    pub(crate) fault: Fault,
    pub(crate) behind: Behind,
    pub(crate) commit: Commit,
}

/// A response in two parts, each up to the point of a case.
pub(crate) struct Sent {
    /// The bytes on the wire, including the head.
    pub(crate) wire: Vec<u8>,
    /// The bytes of the body.
    pub(crate) body: Vec<u8>,
}

const FAULTS: [Fault; 4] = [Fault::Cut, Fault::Stall, Fault::Garbage, Fault::Reset];
const COMMITS: [Commit; 3] = [Commit::Head, Commit::FirstContent, Commit::Complete];
const BEHIND: [Behind; 3] = [Behind::Nothing, Behind::Well, Behind::Down];

impl Point {
    const OF_STREAMS: [Self; 11] = [
        Self::BeforeHead,
        Self::InHead,
        Self::AfterHead,
        Self::BeforeContent,
        Self::MidContent,
        Self::AfterContent,
        Self::MidEvent,
        Self::BetweenEvents,
        Self::BeforeTerminator,
        Self::AfterTerminator,
        Self::Whole,
    ];
    const OF_JSON: [Self; 7] = [
        Self::BeforeHead,
        Self::InHead,
        Self::AfterHead,
        Self::BeforeContent,
        Self::MidContent,
        Self::BeforeTerminator,
        Self::Whole,
    ];
}

// === impl Kind ===

impl Kind {
    const ALL: [Self; 6] = [
        Self::StreamInChunks,
        Self::StreamToClose,
        Self::JsonWithLength,
        Self::JsonInChunks,
        Self::JsonToClose,
        Self::Error,
    ];

    pub(crate) const fn is_stream(self) -> bool {
        matches!(self, Self::StreamInChunks | Self::StreamToClose)
    }

    const fn points(self) -> &'static [Point] {
        if self.is_stream() { &Point::OF_STREAMS } else { &Point::OF_JSON }
    }

    fn head(self, length: usize) -> String {
        let status = if self == Self::Error { "500 Internal Server Error" } else { "200 OK" };
        let content_type = if self.is_stream() { "text/event-stream" } else { "application/json" };
        let framing = match self {
            Self::StreamInChunks | Self::JsonInChunks => "transfer-encoding: chunked\r\n".to_owned(),
            Self::StreamToClose | Self::JsonToClose => "connection: close\r\n".to_owned(),
            Self::JsonWithLength | Self::Error => format!("content-length: {length}\r\n"),
        };
        format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\n{framing}\r\n")
    }

    /// Returns the pieces of the body of the provider with this name, and the point that is reached with each.
    fn pieces(self, name: &str) -> Vec<(Point, String)> {
        if !self.is_stream() {
            let body = match self {
                Self::Error => {
                    r#"{"error":{"message":"The server had an error","type":"server_error"}}"#.to_owned()
                }
                _ => whole_json(name),
            };
            let (middle, last) = (body.len() / 2, body.len() - 1);
            return vec![
                (Point::BeforeContent, body[..1].to_owned()),
                (Point::MidContent, body[1..middle].to_owned()),
                (Point::BeforeTerminator, body[middle..last].to_owned()),
                (Point::Whole, body[last..].to_owned()),
            ];
        }
        let event = |delta: &str, reason: &str| {
            format!("data: {{\"id\":\"{name}\",\"choices\":[{{\"index\":0,\"delta\":{delta}{reason}}}]}}\n\n")
        };
        let first = event(r#"{"content":"hello"}"#, "");
        let second = event(r#"{"content":" world"}"#, "");
        let half = |event: &str| event.len() / 2;
        vec![
            (Point::BeforeContent, event(r#"{"role":"assistant","content":""}"#, "")),
            (Point::MidContent, first[..half(&first)].to_owned()),
            (Point::AfterContent, first[half(&first)..].to_owned()),
            (Point::MidEvent, second[..half(&second)].to_owned()),
            (Point::BetweenEvents, second[half(&second)..].to_owned()),
            (Point::BeforeTerminator, event("{}", r#","finish_reason":"stop""#)),
            (Point::AfterTerminator, "data: [DONE]\n\n".to_owned()),
            (Point::Whole, String::new()),
        ]
    }

    /// Returns the response of the provider with this name, up to a point.
    pub(crate) fn up_to(self, point: Point, name: &str) -> Sent {
        let pieces = self.pieces(name);
        let head = self.head(pieces.iter().map(|(_, piece)| piece.len()).sum());
        let mut sent = Sent { wire: Vec::new(), body: Vec::new() };
        match point {
            Point::BeforeHead => return sent,
            Point::InHead => {
                sent.wire.extend_from_slice(&head.as_bytes()[..head.len() / 2]);
                return sent;
            }
            _ => sent.wire.extend_from_slice(head.as_bytes()),
        }
        let chunked = matches!(self, Self::StreamInChunks | Self::JsonInChunks);
        for (_, piece) in pieces.iter().filter(|(at, _)| *at <= point) {
            sent.body.extend_from_slice(piece.as_bytes());
            if chunked && !piece.is_empty() {
                sent.wire.extend_from_slice(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
            } else {
                sent.wire.extend_from_slice(piece.as_bytes());
            }
        }
        if chunked && point == Point::Whole {
            sent.wire.extend_from_slice(b"0\r\n\r\n");
        }
        sent
    }
}

fn whole_json(name: &str) -> String {
    let message = r#"{"role":"assistant","content":"hello world"}"#;
    format!(r#"{{"id":"{name}","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#)
}

// === impl Case ===

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            for point in kind.points() {
                for fault in FAULTS {
                    for behind in BEHIND {
                        all.extend(COMMITS.map(|commit| Self { kind, point: *point, fault, behind, commit }));
                    }
                }
            }
        }
        all
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, point, fault, behind, commit } = self;
        let [kind, point, fault, behind, commit] = [
            format!("{kind:?}"),
            format!("{point:?}"),
            format!("{fault:?}"),
            format!("{behind:?}"),
            format!("{commit:?}"),
        ];
        write!(f, "{kind:<14} {point:<16} {fault:<7} {behind:<7} {commit:<12}")
    }
}
