//! Tests of the reading of single events.

use proptest::prelude::*;

use crate::body::meter::{Completion, Ending, Progress, progress};
use crate::body::sse::Event;

/// Returns how near its end a stream is after these events.
fn ending(events: &[&str]) -> Ending {
    let mut completion = Completion::default();
    events.iter().for_each(|data| completion.see(&Event::new("", (*data).to_owned())));
    completion.ending()
}

#[test]
fn every_dialects_terminator_is_recognized() {
    use Ending::{Finished, Last, Open};
    for (data, expected) in [
        ("[DONE]", Last),
        (r#"{"type":"message_stop"}"#, Last),
        (r#"{"type":"response.completed","response":{}}"#, Last),
        (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Finished),
        (r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#, Finished),
        (r#"{"candidates":[{"finishReason":"STOP"}]}"#, Finished),
        (r#"{"choices":[{"delta":{"content":"finish_reason"},"finish_reason":null}]}"#, Open),
        (r#"{"candidates":[{"content":{}}]}"#, Open),
    ] {
        assert_eq!(ending(&[data]), expected, "{data}");
    }
}

#[test]
fn content_is_told_from_preamble_and_terminator() {
    for (data, expected) in [
        (r#"{"choices":[{"delta":{"content":"Hi"}}]}"#, Progress::Content),
        (r#"{"choices":[{"delta":{"role":"assistant"}}]}"#, Progress::Preamble),
        (r#"{"error":{"message":"m"}}"#, Progress::Failed),
        ("[DONE]", Progress::End),
        (r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#, Progress::Content),
        (r#"{"error":{"message":"\ud83d"}}"#, Progress::Failed),
        ("{", Progress::Malformed),
    ] {
        assert_eq!(progress(&Event::new("", data)), expected, "{data}");
    }
}

#[test]
fn an_event_named_error_is_one_whatever_its_data() {
    for data in ["overloaded", "", "[DONE]", "<html>", r#"{"choices":[]}"#] {
        let event = Event::new("error", data);
        assert_eq!(progress(&event), Progress::Failed, "{data}");
        let mut completion = Completion::default();
        completion.see(&event);
        completion.see(&Event::new("", "[DONE]"));
        assert!(completion.has_failed(), "{data}");
    }
}

/// Text that is similar enough to an event's data to pass the first checks.
fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("{\"error\":{\"code\":".to_owned()),
        Just("{\"type\":\"".to_owned()),
        Just("\"finish_reason\":".to_owned()),
        Just("\"choices\":[{\"delta\":".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("[DONE]".to_owned()),
        Just("}]}\"".to_owned()),
        ".{0,12}",
    ];
    proptest::collection::vec(fragment, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_data_makes_a_reader_panic(data in hostile()) {
        progress(&Event::new("", data.clone()));
        ending(&[&data, &data]);
    }
}
