//! An event stream has the same events however it is split into chunks.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tower_key_rotation::body::sse::{Decoder, Event};

const LONGEST: usize = 256;

/// Returns all events, and the error that ends them if there is one.
fn events(chunks: impl Iterator<Item = Bytes>) -> (Vec<Event>, bool) {
    let mut decoder = Decoder::with_max_event_bytes(LONGEST);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, true),
            }
        }
    }
    events.extend(decoder.finish());
    (events, false)
}

fuzz_target!(|input: (&[u8], Vec<u8>)| {
    let (stream, cuts) = input;
    let mut rest = Bytes::copy_from_slice(stream);
    let whole = events(std::iter::once(rest.clone()));
    let mut chunks: Vec<_> =
        cuts.iter().map(|cut| rest.split_to(rest.len().min(usize::from(*cut)))).collect();
    chunks.push(rest);
    let cut = events(chunks.into_iter());
    // If an event overflows, the number of events before depends on when that is noticed.
    if whole.1 || cut.1 {
        let both = whole.0.len().min(cut.0.len());
        assert_eq!(whole.0[..both], cut.0[..both]);
    } else {
        assert_eq!(whole.0, cut.0);
    }
});
