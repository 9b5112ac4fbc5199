//! Request bodies that can be sent again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;
use support::{received, streamed};
use tokio::sync::mpsc;
use tokio_test::{assert_pending, assert_ready, task};
use tower_key_rotation::body::ReplayBody;

const CAP: usize = 100;

#[tokio::test]
async fn a_body_in_one_piece_is_shared_and_never_copied() {
    let bytes = Bytes::from_static(b"{\"model\":\"m\"}");
    let body = ReplayBody::new(Full::new(bytes.clone()), 0).await;
    assert!(body.is_replayable(), "the cap is for streams");
    for _ in 0..3 {
        let clone = body.clone();
        assert_eq!(clone.size_hint().exact(), Some(bytes.len() as u64));
        let out = received(clone).await.unwrap();
        assert_eq!(out.as_ptr(), bytes.as_ptr());
    }
}

#[tokio::test]
async fn a_stream_of_one_ready_frame_counts_as_one_piece() {
    let body = ReplayBody::new(KnownLength::new(&["all of it"]), CAP).await;
    assert_eq!(body.try_into_bytes().unwrap(), "all of it");
    assert!(ReplayBody::new(streamed(&["a", "b"]), CAP).await.try_into_bytes().is_err());
}

#[tokio::test]
async fn empty_bodies_stay_empty() {
    for body in [ReplayBody::empty(), ReplayBody::new(streamed(&[]), CAP).await] {
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert_eq!(received(body).await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_replay_body_is_kept_not_wrapped() {
    let body = ReplayBody::new(streamed(&["one ", "two"]), CAP).await;
    let again = ReplayBody::new(body, 0).await;
    assert!(again.is_replayable(), "its own cap holds");
    assert_eq!(received(again.clone()).await.unwrap(), "one two");
    assert_eq!(received(again).await.unwrap(), "one two");
}

#[tokio::test]
async fn a_replay_continues_after_the_record() {
    let (sender, source) = channel();
    let master = ReplayBody::new(source, CAP).await;
    let mut first = task::spawn(master.clone());
    let mut second = task::spawn(master.clone());
    sender.send(Ok(Frame::data(Bytes::from_static(b"one ")))).unwrap();
    assert_eq!(data(&mut first), "one ");

    drop(first);
    assert_eq!(data(&mut second), "one ");
    assert_pending!(second.enter(|cx, body| body.poll_frame(cx)));
    sender.send(Ok(Frame::data(Bytes::from_static(b"two")))).unwrap();
    assert!(second.is_woken());
    assert_eq!(data(&mut second), "two");
    drop(sender);
    assert!(assert_ready!(second.enter(|cx, body| body.poll_frame(cx))).is_none());
    assert_eq!(received(master).await.unwrap(), "one two");
}

#[tokio::test]
async fn concurrent_clones_get_the_whole_body() {
    let (sender, source) = channel();
    let master = ReplayBody::new(source, CAP).await;
    let mut abandoned = task::spawn(master.clone());
    let mut current = task::spawn(master.clone());
    assert_pending!(current.enter(|cx, body| body.poll_frame(cx)));
    assert_pending!(abandoned.enter(|cx, body| body.poll_frame(cx)));
    sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).unwrap();
    assert!(current.is_woken(), "though the abandoned one polled last");
    assert_eq!(data(&mut current), "x");
    assert_eq!(data(&mut abandoned), "x");
}

#[tokio::test]
async fn above_the_cap_only_one_attempt_continues() {
    let master = ReplayBody::new(streamed(&["0123456789", "x", "y"]), 5).await;
    let running = master.clone();
    assert!(master.is_replayable(), "nothing was taken yet");
    assert_eq!(received(running).await.unwrap(), "0123456789xy");
    assert!(!master.is_replayable());
    assert!(received(master).await.is_err(), "never a body with a hole");
}

#[tokio::test]
async fn an_unread_long_body_can_be_sent() {
    let master = ReplayBody::new(KnownLength::new(&["01234", "56789"]), 5).await;
    drop(master.clone());
    assert!(master.is_replayable(), "a connection that was refused took nothing");
    let running = master.clone();
    assert_eq!(running.size_hint().exact(), Some(10));
    assert_eq!(received(running).await.unwrap(), "0123456789");
    assert!(!master.is_replayable());
}

#[tokio::test]
async fn the_last_clone_needs_no_record() {
    let live = Arc::new(AtomicUsize::new(0));
    let frames: Vec<_> = (0..10).map(|_| counted(&live, 1_000)).collect();
    let body = StreamBody::new(futures_util::stream::iter(frames.into_iter().map(Ok::<_, Infallible>)));
    let master = ReplayBody::new(body, 1 << 20).await;
    let mut only = master.clone();
    drop(master);
    while let Some(frame) = only.frame().await {
        drop(frame.unwrap());
    }
    assert_eq!(live.load(Ordering::Relaxed), 0, "nothing is kept");
}

#[tokio::test]
async fn an_unread_body_is_released() {
    let live = Arc::new(AtomicUsize::new(0));
    let (sender, fed) = channel();
    let master = ReplayBody::new(fed, CAP).await;
    let mut running = task::spawn(master.clone());
    sender.send(Ok(counted(&live, 10))).unwrap();
    assert_eq!(data(&mut running).len(), 10);
    assert_pending!(running.enter(|cx, body| body.poll_frame(cx)));
    drop((running, master));
    assert_eq!(live.load(Ordering::Relaxed), 0, "its record is gone");
    assert!(sender.is_closed(), "and so is its source, which had a waker");
}

#[tokio::test]
async fn trailers_are_replayed() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    let frames =
        [Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"a"))), Ok(Frame::trailers(trailers.clone()))];
    let master = ReplayBody::new(StreamBody::new(futures_util::stream::iter(frames)), CAP).await;
    for _ in 0..2 {
        let collected = master.clone().collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), "a");
    }
}

#[tokio::test]
async fn a_body_that_fails_fails_for_every_clone() {
    let (sender, source) = channel();
    let master = ReplayBody::new(source, CAP).await;
    sender.send(Ok(Frame::data(Bytes::from_static(b"half")))).unwrap();
    sender.send(Err("the disk is gone".into())).unwrap();
    for _ in 0..2 {
        let mut clone = master.clone();
        assert_eq!(clone.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        assert!(clone.frame().await.unwrap().is_err());
    }
    assert!(!master.is_replayable());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// In whatever order clones are polled, each that gets to its end has the whole body, and each always has a
    /// prefix of it.
    #[test]
    fn every_clone_sees_a_prefix_and_a_finished_one_all(
        pieces in prop::collection::vec("[a-z]{0,8}", 0..8),
        cap in 0_usize..40,
        turns in prop::collection::vec((0_usize..3, any::<bool>()), 0..60),
    ) {
        let whole: String = pieces.concat();
        let (sender, source) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let master = runtime.block_on(ReplayBody::new(source, cap));
        let mut pieces = pieces.into_iter();
        let mut sender = Some(sender);
        let mut clones: Vec<_> = (0..3).map(|_| (task::spawn(master.clone()), String::new(), false)).collect();
        let feed = |sender: &mut Option<Sender>, pieces: &mut std::vec::IntoIter<String>| match pieces.next() {
            Some(piece) => { sender.as_ref().unwrap().send(Ok(Frame::data(Bytes::from(piece)))).unwrap(); }
            None => *sender = None,
        };
        let total = turns.len();
        for (step, (turn, more)) in turns.into_iter().chain((0..200).map(|i| (i % 3, true))).enumerate() {
            if more || step >= total { feed(&mut sender, &mut pieces); }
            let (clone, got, done) = &mut clones[turn];
            if *done { continue; }
            match clone.enter(|cx, body| body.poll_frame(cx)) {
                Poll::Ready(Some(Ok(frame))) => got.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
                Poll::Ready(Some(Err(_))) => *done = true,
                Poll::Ready(None) => { *done = true; prop_assert_eq!(&*got, &whole); }
                Poll::Pending => {}
            }
            prop_assert!(whole.starts_with(&*got));
        }
        prop_assert!(clones.iter().all(|(_, _, done)| *done));
        prop_assert!(clones.iter().any(|(_, got, _)| *got == whole), "somebody got it all");
    }
}

// === bodies ===

type Item = Result<Frame<Bytes>, tower::BoxError>;
type Sender = mpsc::UnboundedSender<Item>;

/// A body whose frames the test sends.
fn channel() -> (Sender, Fed) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Fed(receiver))
}

struct Fed(mpsc::UnboundedReceiver<Item>);

impl Body for Fed {
    type Data = Bytes;
    type Error = tower::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx)
    }
}

/// A stream with a known length.
struct KnownLength(Vec<Bytes>);

impl KnownLength {
    fn new(pieces: &[&'static str]) -> Self {
        Self(pieces.iter().rev().map(|piece| Bytes::from_static(piece.as_bytes())).collect())
    }
}

impl Body for KnownLength {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// A frame that counts its memory.
fn counted(live: &Arc<AtomicUsize>, len: usize) -> Frame<Bytes> {
    struct Metric(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Metric {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Metric {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }
    live.fetch_add(1, Ordering::Relaxed);
    Frame::data(Bytes::from_owner(Metric(vec![0; len], Arc::clone(live))))
}

fn data(body: &mut task::Spawn<ReplayBody>) -> Bytes {
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
    frame.unwrap().unwrap().into_data().unwrap()
}
