//! Silence of providers, and the limit for it.

use super::*;

#[tokio::test(start_paused = true)]
async fn silence_counts_only_while_somebody_asks() {
    let guard = StreamGuard::strict(true, None, Some(IDLE));
    let mut body = task::spawn(ResponseBody::untouched(body(&[ROLE, TEXT], Then::Stays)).guarded(guard));
    for _ in 0..2 {
        tokio::time::advance(IDLE * 3).await;
        assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).unwrap().is_ok(), "a slow reader");
    }
    tokio::time::advance(IDLE * 3).await;
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    tokio::time::advance(IDLE - Duration::from_millis(5)).await;
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)), "asking again starts nothing anew");
    tokio::time::advance(Duration::from_millis(10)).await;
    assert!(body.is_woken());
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn progress_starts_the_silence_anew_and_no_limit_is_none() {
    let frames = |count| ticks(count, |_| b": ping\n\n");
    let usage = UsageSlot::default();
    let guard = |idle| StreamGuard::strict(true, Some(usage.clone()), idle);
    let guarded = ResponseBody::untouched(frames(10)).guarded(guard(Some(IDLE)));
    assert_eq!(read(guarded, usage.clone()).await.verdict, Verdict::Truncated);
    let guarded = ResponseBody::untouched(frames(10_000)).guarded(guard(Some(IDLE)));
    let came = read(guarded, usage.clone()).await;
    assert_eq!(came.verdict, Verdict::Idle, "comments alone are no progress for ever");
    assert!(came.after <= IDLE * (KEEP_ALIVES + 1), "{:?}", came.after);
    for idle in [None, Some(Duration::MAX)] {
        let body = ResponseBody::untouched(body(&[ROLE], Then::Stays)).guarded(guard(idle));
        assert!(tokio::time::timeout(Duration::from_secs(86_400), read(body, usage.clone())).await.is_err());
    }
}

/// A body of frames in time.
fn ticks(
    count: usize,
    frame: impl Fn(usize) -> &'static [u8],
) -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
    let ticks = stream::iter((0..count).map(frame)).then(|frame| async move {
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        Ok(Frame::data(Bytes::from_static(frame)))
    });
    StreamBody::new(Box::pin(ticks))
}

#[tokio::test(start_paused = true)]
async fn blanks_keep_json_alive_only_for_a_time() {
    let usage = UsageSlot::default();
    let guard = || StreamGuard::strict(false, Some(usage.clone()), Some(IDLE));
    let blanks = ResponseBody::untouched(ticks(10_000, |_| b" \n")).guarded(guard());
    let came = read(blanks, usage.clone()).await;
    assert_eq!(came.verdict, Verdict::Idle);
    assert!(came.after <= IDLE * (KEEP_ALIVES + 1), "{:?}", came.after);
    // A response whose numbers come far apart, with blanks between them.
    let slow = ticks(100, |at| if at % 5 == 0 { b"1," } else { b"\n" });
    let slow = ResponseBody::untouched(slow).guarded(guard());
    assert_eq!(read(slow, usage.clone()).await.verdict, Verdict::Clean);
}

#[tokio::test(start_paused = true)]
async fn other_bodies_are_guarded_only_against_silence() {
    let answer = "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}";
    let (head, tail) = answer.split_at(20);
    let long = format!("{{\"data\":\"{}\",{}", "x".repeat(64 * 1024), &answer[1..]);
    for (chunks, then, expected, tokens) in [
        (&[head, tail][..], Then::Ends, Verdict::Clean, Some(7)),
        (&[head, tail], Then::Breaks, Verdict::Broken, Some(7)),
        (&[head], Then::Stays, Verdict::Idle, None),
        (&[&long], Then::Ends, Verdict::Clean, None),
        (&[TEXT], Then::Ends, Verdict::Clean, None),
    ] {
        let usage = UsageSlot::default();
        let guard = StreamGuard::strict(false, Some(usage.clone()), Some(IDLE));
        let came = read(ResponseBody::untouched(body(chunks, then)).guarded(guard), usage).await;
        assert_eq!(came.bytes, chunks.concat().as_bytes());
        assert_eq!(came.verdict, expected, "{chunks:?}");
        assert_eq!(came.usage.and_then(|usage| usage.input_tokens), tokens, "{chunks:?}");
    }
}
