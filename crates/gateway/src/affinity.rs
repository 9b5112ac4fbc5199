//! The accounts that hold the objects of callers: files, batches, responses, conversations, encrypted reasoning.
//!
//! The ids in responses are remembered with the key that made them, up to a number of ids. A request that names such an
//! id, in its path, its query or its JSON body, goes to that key or another one of its account.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::{Response, Uri, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use pin_project_lite::pin_project;
use tower_key_rotation::provider::{Endpoint, stored_ids_in_json, stored_ids_in_path};
use tower_key_rotation::{Home, Served, Session};

use crate::response::GatewayBody;
use crate::session;

/// Maximum number of ids that are remembered (65,536). The oldest are forgotten first.
const MOST: usize = 1 << 16;

/// Length of the end of a frame in which an id may begin that the next frame ends: the longest id, in quotes (258). Longer
/// than the beginning of encrypted content with the name of its member.
const CUT: usize = 258;

/// Parts of the paths of Google's API whose responses name objects.
const GOOGLE: [&str; 4] = ["files", "cachedContents", "fileSearchStores", "upload"];

/// The accounts that hold the objects of callers.
#[derive(Default)]
pub(crate) struct Affinity {
    hasher: RandomState,
    memory: Mutex<Memory>,
    /// Whether an id was ever remembered. Without one, no request is searched for ids.
    is_used: AtomicBool,
}

#[derive(Default)]
struct Memory {
    homes: HashMap<u64, Home>,
    /// The ids, the oldest first.
    order: VecDeque<u64>,
}

pin_project! {
    /// The body of a response whose ids are remembered as they pass.
    struct Learning<B> {
        #[pin]
        body: B,
        affinity: Arc<Affinity>,
        home: Home,
        // The end of the data so far.
        end: Vec<u8>,
    }
}

/// Returns whether the response to a request may name new objects. `head` has the provider's URL.
pub(crate) fn learns(head: &request::Parts) -> bool {
    let path = head.uri.path();
    let is_content = ["/content", "/results", ":download"].iter().any(|end| path.ends_with(end));
    let names = match Endpoint::of_path(path) {
        Endpoint::Responses
        | Endpoint::Files
        | Endpoint::Batches
        | Endpoint::Conversations
        | Endpoint::VectorStores
        | Endpoint::Assistants
        | Endpoint::Containers
        | Endpoint::FineTuning
        | Endpoint::Videos
        | Endpoint::Evals => true,
        Endpoint::Messages => path.contains("/batches"),
        Endpoint::GenerateContent => path.contains(":batch"),
        Endpoint::Other => path.split('/').any(|segment| GOOGLE.contains(&segment)),
        _ => false,
    };
    names && !is_content
}

/// Returns the key that served a request, if it succeeded.
pub(crate) fn home<B>(response: &Response<B>) -> Option<Home> {
    let served = response.extensions().get::<Served>().filter(|_| response.status().is_success())?;
    Some(Home::new(served.provider(), served.key_id().clone()))
}

// === impl Affinity ===

impl Affinity {
    /// Adds what decides about the key of a request: the account that holds what it names, and its session. `body` is
    /// its whole body, if that is known.
    pub(crate) fn place(&self, head: &mut request::Parts, body: Option<&Bytes>) {
        if let Some(home) = self.home(&head.uri, body) {
            head.extensions.insert(home);
        }
        if head.extensions.get::<Session>().is_none()
            && let Some(session) = session::of(&head.headers, body)
        {
            head.extensions.insert(session);
        }
    }

    /// Returns whether a request continues an upload that another one has begun: its URL is the secret that the provider
    /// gave to the caller. Google's client for Python sends no credential with it.
    pub(crate) fn continues_upload(&self, uri: &Uri) -> bool {
        self.is_used.load(Ordering::Relaxed) && self.memory().homes.contains_key(&self.upload(uri))
    }

    /// Returns the key that holds what a request names. `body` is its whole body, if that is known.
    fn home(&self, uri: &Uri, body: Option<&Bytes>) -> Option<Home> {
        if !self.is_used.load(Ordering::Relaxed) {
            return None;
        }
        let path = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let in_body = body.map(|body| stored_ids_in_json(body)).into_iter().flatten();
        let ids: Vec<_> =
            stored_ids_in_path(path).chain(in_body).map(|id| self.hasher.hash_one(id)).collect();
        let memory = self.memory();
        ids.iter().find_map(|id| memory.homes.get(id)).cloned()
    }

    /// Remembers the ids in the headers of a response, and those in its body as it passes. `home` is where they belong, if
    /// that is known.
    pub(crate) fn learn(
        self: &Arc<Self>,
        response: Response<GatewayBody>,
        home: Option<Home>,
    ) -> Response<GatewayBody> {
        let Some(home) = home else { return response };
        let next = response.headers().get("x-goog-upload-url").and_then(|next| next.to_str().ok());
        if let Some(next) = next.and_then(|next| next.parse::<Uri>().ok()) {
            let query = next.query().unwrap_or_default();
            self.remember(stored_ids_in_path(&["?", query].concat()), &home);
            self.keep(self.upload(&next), &home);
        }
        response.map(|body| Either::Right(OwnBody::new(self.learning(body, home))))
    }

    fn learning<B>(self: &Arc<Self>, body: B, home: Home) -> Learning<B> {
        Learning { body, affinity: Arc::clone(self), home, end: Vec::new() }
    }

    fn remember<'a>(&self, ids: impl Iterator<Item = &'a str>, home: &Home) {
        ids.for_each(|id| self.keep(self.hasher.hash_one(id), home));
    }

    /// Remembers an id by its hash.
    fn keep(&self, id: u64, home: &Home) {
        let mut memory = self.memory();
        if memory.homes.insert(id, home.clone()).is_none() {
            memory.order.push_back(id);
            if memory.order.len() > MOST
                && let Some(oldest) = memory.order.pop_front()
            {
                memory.homes.remove(&oldest);
            }
        }
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Returns the hash of the URL of an upload.
    fn upload(&self, uri: &Uri) -> u64 {
        self.hasher.hash_one(("upload", uri.path(), uri.query()))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Learning ===

impl<B: Body<Data = Bytes>> Body for Learning<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.affinity.remember(stored_ids_in_json(data), this.home);
            this.end.extend_from_slice(&data[..data.len().min(CUT)]);
            this.affinity.remember(stored_ids_in_json(this.end), this.home);
            if data.len() > CUT {
                this.end.clear();
                this.end.extend_from_slice(&data[data.len() - CUT..]);
            } else {
                this.end.drain(..this.end.len().saturating_sub(CUT));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{self, StreamExt};
    use http_body_util::{BodyExt, StreamBody};
    use tower_key_rotation::KeyPool;
    use tower_key_rotation::{ApiKey, Provider};

    use super::*;

    fn home() -> Home {
        let key = ApiKey::new("sk-one").unwrap().id("one");
        let pool = KeyPool::builder(Provider::openai()).key(key).build().unwrap();
        Home::new("openai", pool.acquire(()).unwrap().key_id().clone())
    }

    #[tokio::test]
    async fn an_id_is_learned_wherever_its_response_is_cut() {
        let content = "gAAAAAB-1234".repeat(20);
        let encrypted = format!(r#"{{"encrypted_content" : "{content}"}}"#);
        let input = Bytes::from(format!(r#"{{"input":[{encrypted}]}}"#));
        let more = "x".repeat(3_000);
        let response = format!(r#"{{"id":"file-0123456789","more":"{more}","output":[{encrypted}]}}"#);
        for size in 1..400 {
            let affinity = Arc::<Affinity>::default();
            let pieces: Vec<_> = response.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
            let frames = stream::iter(pieces).map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            affinity.learning(StreamBody::new(frames), home()).collect().await.unwrap();
            let found = affinity.home(&"/v1/files/file-0123456789".parse().unwrap(), None);
            assert_eq!(found, Some(home()), "pieces of {size}");
            let found = affinity.home(&"/v1/responses".parse().unwrap(), Some(&input));
            assert_eq!(found, Some(home()), "encrypted content in pieces of {size}");
        }
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let affinity = Affinity::default();
        let home = home();
        let id = |number: usize| format!("file-{number:012}");
        for number in 0..=MOST {
            affinity.remember([id(number).as_str()].into_iter(), &home);
        }
        let found = |number| affinity.home(&format!("/v1/files/{}", id(number)).parse().unwrap(), None);
        assert_eq!((found(0), found(1), found(MOST)), (None, Some(home.clone()), Some(home)));
    }
}
