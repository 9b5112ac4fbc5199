mod silence;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;

use futures_util::{StreamExt, stream};
use http_body::Body;
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};

use crate::body::ResponseBody;
use crate::body::guard::idle::{GRACE, KEEP_ALIVES, LINGER};
use crate::body::guard::*;
use crate::body::meter::Usage;

const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n";
const TEXT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"error?\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";
const IDLE: Duration = Duration::from_secs(20);

/// What happens after the last chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Ends,
    Breaks,
    Stays,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Clean,
    Truncated,
    Broken,
    Failed,
    Malformed,
    Idle,
}

struct Came {
    bytes: Vec<u8>,
    verdict: Verdict,
    after: Duration,
    usage: Option<Usage>,
}

fn body(chunks: &[&str], then: Then) -> impl Body<Data = Bytes, Error = BoxError> + Unpin + use<> {
    let data = |chunk: &&str| Ok(Frame::data(Bytes::copy_from_slice(chunk.as_bytes())));
    let frames = stream::iter(chunks.iter().map(data).collect::<Vec<_>>());
    let rest = match then {
        Then::Ends => stream::empty().boxed(),
        Then::Breaks => stream::iter([Err("reset by peer".into())]).boxed(),
        Then::Stays => stream::once(pending()).boxed(),
    };
    StreamBody::new(frames.chain(rest))
}

async fn read<B: Body<Data = Bytes, Error = BoxError> + Unpin>(mut body: B, usage: UsageSlot) -> Came {
    let began = Instant::now();
    let mut bytes = Vec::new();
    let verdict = loop {
        match body.frame().await {
            None => break Verdict::Clean,
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().unwrap()),
            Some(Err(error)) => break verdict(*error.downcast::<StreamError>().unwrap()),
        }
    };
    assert!(body.frame().await.is_none() && body.is_end_stream(), "an end is an end");
    assert_eq!(body.size_hint().exact(), Some(0));
    Came { bytes, verdict, after: Instant::now() - began, usage: usage.get() }
}

fn verdict(error: StreamError) -> Verdict {
    match error {
        StreamError::Truncated => Verdict::Truncated,
        StreamError::Broken(source) => {
            assert_eq!(source.to_string(), "reset by peer");
            Verdict::Broken
        }
        StreamError::Failed => Verdict::Failed,
        StreamError::Malformed => Verdict::Malformed,
        StreamError::Idle(limit) => {
            assert_eq!(limit, IDLE);
            Verdict::Idle
        }
    }
}

async fn guarded(chunks: &[&str], then: Then) -> Came {
    let usage = UsageSlot::default();
    let guard = StreamGuard::strict(true, Some(usage.clone()), Some(IDLE));
    let came = read(ResponseBody::untouched(body(chunks, then)).guarded(guard), usage).await;
    let all = chunks.concat();
    if matches!(came.verdict, Verdict::Malformed | Verdict::Failed) {
        assert!(all.as_bytes().starts_with(&came.bytes), "every byte up to a malformed event, and no other");
    } else {
        assert_eq!(came.bytes, all.as_bytes(), "every byte, and no other");
    }
    came
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_another_type_is_checked_too() {
    for (chunks, expected) in [
        (&[ROLE, TEXT, STOP, DONE][..], Verdict::Clean),
        (&["\n", ROLE, TEXT], Verdict::Truncated),
        (&[": hold on\n\n", TEXT, ERROR, DONE], Verdict::Failed),
        (&["{}", TEXT], Verdict::Clean),
    ] {
        let usage = UsageSlot::default();
        let guard = StreamGuard::strict(false, Some(usage.clone()), Some(IDLE)).of_success(Shape::Other);
        let came = read(ResponseBody::untouched(body(chunks, Then::Ends)).guarded(guard), usage).await;
        assert_eq!((came.verdict, came.bytes), (expected, chunks.concat().into_bytes()), "{chunks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_end_of_a_stream_is_worth() {
    use Then::{Breaks, Ends, Stays};
    let second = |finish: &str| {
        format!("data: {{\"choices\":[{{\"index\":1,\"delta\":{{}},\"finish_reason\":{finish}}}]}}\n\n")
    };
    let (other, other_stop) = (second("null"), second("\"stop\""));
    let gemini = "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a\"}]}, \"finishReason\": \"STOP\", \"index\": 0}]}\r\n\r\n";
    let cases: &[(&[&str], Then, Verdict, Duration)] = &[
        (&[ROLE, TEXT, STOP, DONE], Ends, Verdict::Clean, Duration::ZERO),
        (&[ROLE, TEXT, STOP], Ends, Verdict::Clean, Duration::ZERO),
        (&[ROLE, TEXT], Ends, Verdict::Truncated, Duration::ZERO),
        (&[ROLE, "data: {\"choi"], Ends, Verdict::Truncated, Duration::ZERO),
        (&[": keep-alive\n\n"], Ends, Verdict::Truncated, Duration::ZERO),
        (&[], Ends, Verdict::Truncated, Duration::ZERO),
        (&[ROLE, TEXT, "data: [DONE]"], Ends, Verdict::Clean, Duration::ZERO),
        (&[ROLE, TEXT], Breaks, Verdict::Broken, Duration::ZERO),
        (&[ROLE, TEXT, STOP], Breaks, Verdict::Clean, Duration::ZERO),
        (&[ROLE, TEXT, ERROR], Ends, Verdict::Failed, Duration::ZERO),
        (&[ROLE, TEXT, ERROR, DONE], Ends, Verdict::Failed, Duration::ZERO),
        (&[ROLE, TEXT, ERROR], Stays, Verdict::Failed, GRACE),
        (&["event: error\ndata: {\"type\":\"error\"}\n\n"], Ends, Verdict::Failed, Duration::ZERO),
        (&[ROLE, "data: {\"choi\n\n", STOP, DONE], Ends, Verdict::Malformed, Duration::ZERO),
        (&[ROLE, "data: {\"choi\n\n"], Stays, Verdict::Malformed, Duration::ZERO),
        (&["data: {\"type\":7,\"x\n\n"], Stays, Verdict::Malformed, Duration::ZERO),
        (&[ROLE, TEXT], Stays, Verdict::Idle, IDLE),
        (&[ROLE, TEXT, STOP], Stays, Verdict::Clean, GRACE),
        (&[ROLE, TEXT, STOP, DONE], Stays, Verdict::Clean, LINGER),
        (&[ROLE, &other, STOP], Ends, Verdict::Truncated, Duration::ZERO),
        (&[ROLE, &other, STOP], Stays, Verdict::Idle, IDLE),
        (&[ROLE, &other, STOP, &other_stop], Stays, Verdict::Clean, GRACE),
        (&[gemini, gemini], Ends, Verdict::Clean, Duration::ZERO),
        (&[gemini, gemini], Stays, Verdict::Idle, IDLE),
        (&[gemini, gemini], Breaks, Verdict::Broken, Duration::ZERO),
        (&["data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n"], Stays, Verdict::Clean, GRACE),
        (&["data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n"], Ends, Verdict::Truncated, Duration::ZERO),
        (
            &["event: message_start\ndata: {\"type\":\"message_start\"}\n\n"],
            Ends,
            Verdict::Truncated,
            Duration::ZERO,
        ),
        (&["data: {\"type\":\"response.completed\"}\n\n"], Stays, Verdict::Clean, LINGER),
        (&["data: {\"type\":\"image_generation.completed\"}\n\n"], Ends, Verdict::Clean, Duration::ZERO),
        (&["event: output\ndata: once upon\n\n"], Ends, Verdict::Clean, Duration::ZERO),
    ];
    for (chunks, then, expected, after) in cases {
        let came = guarded(chunks, *then).await;
        assert_eq!(came.verdict, *expected, "{chunks:?}, then {then:?}");
        assert!(came.after.abs_diff(*after) <= Duration::from_millis(2), "{chunks:?}: {:?}", came.after);
    }
}

#[tokio::test(start_paused = true)]
async fn usage_is_merged_and_left_at_the_end() {
    for (chunks, expected) in [
        (&[TEXT, STOP, USAGE, DONE][..], (7, 2)),
        (
            &[
                "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
                "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
                "data: {\"type\":\"message_stop\"}\n\n",
            ],
            (7, 9),
        ),
        (&[TEXT, USAGE], (7, 2)),
    ] {
        for then in [Then::Ends, Then::Breaks, Then::Stays] {
            let usage = guarded(chunks, then).await.usage.expect("usage");
            assert_eq!((usage.input_tokens, usage.output_tokens), (Some(expected.0), Some(expected.1)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn usage_is_left_by_a_reader_who_stops_at_the_terminator() {
    let usage = UsageSlot::default();
    let guard = StreamGuard::strict(true, Some(usage.clone()), None);
    let mut body = ResponseBody::untouched(body(&[TEXT, USAGE, DONE], Then::Stays)).guarded(guard);
    for _ in 0..3 {
        assert!(body.frame().await.unwrap().is_ok());
    }
    drop(body);
    assert_eq!(usage.get().and_then(|usage| usage.input_tokens), Some(7));
}

#[tokio::test]
async fn hints_are_true() {
    let whole = |text: &'static str| Full::new(Bytes::from_static(text.as_bytes()));
    let strict = |streamed| StreamGuard::strict(streamed, None, None);
    let mut plain = ResponseBody::untouched(whole("{}")).guarded(strict(false));
    assert_eq!((plain.size_hint().exact(), plain.is_end_stream()), (Some(2), false));
    plain.frame().await.unwrap().unwrap();
    assert!(plain.is_end_stream());
    for (text, ends) in [(DONE, true), (STOP, true), (TEXT, false), ("data: [DONE]\n", false), (ERROR, false)]
    {
        let mut events = ResponseBody::untouched(whole(text)).guarded(strict(true));
        assert_eq!((events.size_hint().lower(), events.size_hint().upper()), (0, Some(text.len() as u64)));
        assert!(!events.is_end_stream());
        events.frame().await.unwrap().unwrap();
        assert_eq!(events.is_end_stream(), ends, "{text}: no error may be passed over");
    }
}

#[tokio::test]
async fn nothing_is_pulled_before_it_is_asked_for() {
    let mut pulled = 0;
    let frames = stream::poll_fn(|_| {
        pulled += 1;
        Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(Bytes::from_static(TEXT.as_bytes())))))
    });
    let mut body =
        ResponseBody::untouched(StreamBody::new(frames)).guarded(StreamGuard::strict(true, None, None));
    for _ in 0..3 {
        poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
    }
    drop(body);
    assert_eq!(pulled, 3);
}

proptest! {
    #[test]
    fn however_it_is_cut_the_bytes_and_the_verdict_are_the_same(
        parts in prop::collection::vec(prop::sample::select(vec![ROLE, TEXT, STOP, USAGE, DONE, ERROR, ": ping\n\n", "\r\n", "data: {"]), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        then in prop::sample::select(vec![Then::Ends, Then::Breaks, Then::Stays]),
    ) {
        let text = parts.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (whole, cut) = runtime.block_on(async { (guarded(&[&text], then).await, guarded(&chunks, then).await) });
        prop_assert_eq!(whole.bytes, cut.bytes);
        prop_assert_eq!(whole.verdict, cut.verdict);
        prop_assert_eq!(whole.usage, cut.usage);
        prop_assert!(cut.after <= IDLE + Duration::from_millis(2), "it never hangs");
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_hide_no_cut() {
    for (text, is_cut) in [([ROLE, TEXT].concat(), true), ([TEXT, STOP, DONE].concat(), false)] {
        let frames = [Frame::data(Bytes::from(text)), Frame::trailers(http::HeaderMap::new())];
        let frames = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
        let mut body = ResponseBody::untouched(frames).guarded(StreamGuard::strict(true, None, None));
        assert!(body.frame().await.unwrap().unwrap().is_data());
        let last = body.frame().await.unwrap();
        assert_eq!(last.as_ref().is_ok_and(Frame::is_trailers), !is_cut, "{last:?}");
        assert!(body.frame().await.is_none());
    }
}
