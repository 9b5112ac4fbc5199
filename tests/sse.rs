//! The event decoder follows the standard, however the network splits the stream.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;
use tower_key_rotation::body::sse::{Decoder, Event};

type Decoded = Vec<(String, String)>;

fn show(event: &Event) -> (String, String) {
    (event.name().to_owned(), String::from_utf8_lossy(event.data()).into_owned())
}

/// Returns all events of a stream in these chunks, including the one that its end cut off.
fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = decoder.next_event().unwrap() {
            events.push(show(&event));
        }
    }
    events.extend(decoder.finish().as_ref().map(show));
    events
}

fn whole(stream: &str) -> Decoded {
    let events = decode([stream.as_bytes()]);
    let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
    assert_eq!(decode(bytes), events, "byte by byte: {stream:?}");
    events
}

fn data(texts: &[&str]) -> Decoded {
    texts.iter().map(|text| (String::new(), (*text).to_owned())).collect()
}

#[test]
fn all_three_line_ends_are_accepted() {
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "data: a\n\r\ndata: b\r\n\n",
    ] {
        assert_eq!(whole(stream), data(&["a", "b"]), "{stream:?}");
    }
}

#[test]
fn fields_are_parsed() {
    assert_eq!(
        whole("event: error\nid: 7\nretry: 1\nunknown: x\ndata: a\n\n"),
        [("error".to_owned(), "a".to_owned())]
    );
    assert_eq!(whole("data:a\n\ndata:  b\n\n"), data(&["a", " b"]));
    assert_eq!(whole("data: one\ndata: two\ndata\ndata: four\n\n"), data(&["one\ntwo\n\nfour"]));
    assert_eq!(whole("data\n\n"), data(&[""]));
    assert_eq!(whole("data: {\"a\":\"b: c\"}\n\n"), data(&["{\"a\":\"b: c\"}"]));
}

#[test]
fn comments_and_blank_lines_are_no_events() {
    assert_eq!(whole(": OPENROUTER PROCESSING\n\n: again\n\n"), data(&[]));
    assert_eq!(whole("event: ping\n\ndata: a\n\n"), data(&["a"]));
    assert_eq!(whole("\n\n\n"), data(&[]));
    assert_eq!(whole(""), data(&[]));
}

#[test]
fn only_a_leading_byte_order_mark_is_skipped() {
    assert_eq!(whole("\u{feff}data: a\n\n\u{feff}data: b\n\n"), data(&["a"]));
    assert_eq!(whole("\u{feff}"), data(&[]));
}

#[test]
fn finish_returns_the_cut_event() {
    assert_eq!(
        whole("data: a\n\nevent: error\ndata: {\"e\":1}"),
        [(String::new(), "a".to_owned()), ("error".to_owned(), "{\"e\":1}".to_owned())]
    );
    assert_eq!(whole("data: a\n"), data(&["a"]));
    assert_eq!(whole("event: x"), data(&[]));
}

#[test]
fn a_line_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: payload\n\n");
    let mut decoder = Decoder::new();
    decoder.push(chunk.clone());
    let event = decoder.next_event().unwrap().unwrap();
    assert!(chunk.as_ptr_range().contains(&event.data().as_ptr()));
}

#[test]
fn a_giant_event_is_reported_once() {
    let giants = [
        format!("data: {}\n\ndata: ok\n\n", "x".repeat(100)),
        format!("data: {}\n\ndata: ok\n\n", "x\ndata: ".repeat(100)),
        format!("event: {}\ndata: {}\r\n\r\ndata: ok\n\n", "e".repeat(10), "x".repeat(100)),
    ];
    for stream in giants {
        for size in [1, 7, 64, 1_000] {
            let mut decoder = Decoder::with_max_event_bytes(64);
            let (mut overflows, mut events) = (0, Vec::new());
            for chunk in stream.as_bytes().chunks(size) {
                decoder.push(Bytes::copy_from_slice(chunk));
                loop {
                    match decoder.next_event() {
                        Ok(Some(event)) => events.push(show(&event)),
                        Ok(None) => break,
                        Err(_) => overflows += 1,
                    }
                }
            }
            assert_eq!((overflows, events), (1, data(&["ok"])), "{size}: {stream:?}");
        }
    }
}

#[test]
fn debug_shows_no_data() {
    let event = Event::new("error", "sk-secret");
    assert_eq!(format!("{event:?}"), "Event { name: \"error\", bytes: 9, status: None }");
    let mut decoder = Decoder::new();
    decoder.push(Bytes::from_static(b"data: sk-secret"));
    decoder.next_event().unwrap();
    assert!(!format!("{decoder:?}").contains("secret"));
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("data: ".as_bytes()),
        Just(&b"data:"[..]),
        Just(&b"event: e"[..]),
        Just(&b": comment"[..]),
        Just(&b"\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\n\n"[..]),
        Just(&b"\xef\xbb\xbf"[..]),
        Just(&b"{\"a\":1}"[..]),
        Just(&b"\xff\x00"[..]),
        Just(&b"\xe4\xbd\x99"[..]),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(stream in stream(), cuts in proptest::collection::vec(0_usize..200, 0..12)) {
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= stream.len()).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(decode(chunks), decode([&stream[..]]));
    }
}
