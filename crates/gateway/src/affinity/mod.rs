//! The accounts that hold the objects of callers: files, batches, responses, conversations, encrypted reasoning.
//!
//! The ids in responses are remembered with the key that made them, up to a number of ids. A request that names such an
//! id, in its path, its query or its JSON body, goes to that key or another one of its account.

mod passing;
mod search;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::header::LOCATION;
use http::{Response, Uri, request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either};
use tower_key_rotation::provider::{Endpoint, stored_ids_in_json, stored_ids_in_path};
use tower_key_rotation::{Home, Served, Session};

pub(crate) use self::search::HomeSearch;

use self::passing::Passing;
use crate::response::GatewayBody;
use crate::session;

/// Maximum number of ids that are remembered (65,536). The oldest are forgotten first.
const MOST: usize = 1 << 16;

/// Parts of paths of other APIs whose responses name objects: Google's, and Anthropic's and OpenAI's agents and skills.
const COLLECTIONS: [&str; 13] = [
    "agents",
    "cachedContents",
    "chatkit",
    "environments",
    "files",
    "fileSearchStores",
    "memory_stores",
    "operations",
    "sessions",
    "skills",
    "tunedModels",
    "upload",
    "vaults",
];

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

/// The keys that a response comes from.
#[derive(Clone)]
struct Origin {
    /// The key that served the request.
    home: Home,
    /// The key that was thought to hold what the request names.
    before: Option<Home>,
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
        | Endpoint::Evals
        | Endpoint::Realtime => true,
        Endpoint::Messages => path.contains("/batches"),
        Endpoint::GenerateContent => path.contains(":batch") || path.ends_with("LongRunning"),
        Endpoint::Models => path.contains("/operations/"),
        Endpoint::Other => path.split('/').any(|segment| COLLECTIONS.contains(&segment)),
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
    /// its whole body, if that is known, and `found` the key that a search of its body has found.
    pub(crate) fn place(&self, head: &mut request::Parts, body: Option<&Bytes>, found: Option<&Home>) {
        if let Some(home) = self.home(&head.uri, body).or_else(|| found.cloned()) {
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

    /// Begins the search of a body. `None` if no id is known.
    pub(crate) fn search(&self) -> Option<HomeSearch<'_>> {
        let is_used = self.is_used.load(Ordering::Relaxed);
        is_used.then(|| HomeSearch::new(self))
    }

    fn known(&self, id: &str) -> Option<Home> {
        self.memory().homes.get(&self.hasher.hash_one(id)).cloned()
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
    /// that is known, and `before` the key that was thought to hold what the request names.
    ///
    /// Responses repeat texts of requests, so an id stays where it is known to be, unless that key was asked for it and
    /// another one had it.
    pub(crate) fn learn(
        self: &Arc<Self>,
        response: Response<GatewayBody>,
        (home, before): (Option<Home>, Option<Home>),
    ) -> Response<GatewayBody> {
        let Some(home) = home else { return response };
        let origin = Origin { home, before };
        let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        self.remember(stored_ids_in_path(place.unwrap_or_default()), &origin);
        let next = response.headers().get("x-goog-upload-url").and_then(|next| next.to_str().ok());
        if let Some(next) = next.and_then(|next| next.parse::<Uri>().ok()) {
            let query = next.query().unwrap_or_default();
            self.remember(stored_ids_in_path(&["?", query].concat()), &origin);
            self.keep(self.upload(&next), &origin);
        }
        response.map(|body| Either::Right(OwnBody::new(self.learning(body, origin))))
    }

    /// Returns the body of a response whose ids are remembered as they pass.
    fn learning<B>(
        self: &Arc<Self>,
        body: B,
        origin: Origin,
    ) -> impl Body<Data = Bytes, Error = B::Error> + use<B>
    where
        B: Body<Data = Bytes>,
    {
        let (affinity, mut passing) = (Arc::clone(self), Passing::default());
        body.inspect_frame(move |frame: &Frame<Bytes>| {
            if let Some(data) = frame.data_ref() {
                passing.see(data, |id| affinity.remember(std::iter::once(id), &origin));
            }
        })
    }

    fn remember<'a>(&self, ids: impl Iterator<Item = &'a str>, origin: &Origin) {
        ids.for_each(|id| self.keep(self.hasher.hash_one(id), origin));
    }

    /// Remembers an id by its hash, if it is new.
    fn keep(&self, id: u64, Origin { home, before }: &Origin) {
        let memory = &mut *self.memory();
        match memory.homes.entry(id) {
            Entry::Occupied(known) if Some(known.get()) != before.as_ref() => {}
            Entry::Occupied(mut known) => drop(known.insert(home.clone())),
            Entry::Vacant(free) => {
                free.insert(home.clone());
                memory.order.push_back(id);
            }
        }
        if memory.order.len() > MOST
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.homes.remove(&oldest);
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{self, StreamExt};
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    use tower_key_rotation::KeyPool;
    use tower_key_rotation::{ApiKey, Provider};

    use super::*;

    fn origin(home: Home, before: Option<Home>) -> Origin {
        Origin { home, before }
    }

    fn home() -> Home {
        home_at("one")
    }

    fn home_at(id: &str) -> Home {
        let key = ApiKey::new("sk-one").unwrap().id(id);
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
            affinity.learning(StreamBody::new(frames), origin(home(), None)).collect().await.unwrap();
            let found = affinity.home(&"/v1/files/file-0123456789".parse().unwrap(), None);
            assert_eq!(found, Some(home()), "pieces of {size}");
            let found = affinity.home(&"/v1/responses".parse().unwrap(), Some(&input));
            assert_eq!(found, Some(home()), "encrypted content in pieces of {size}");
            let mut search = affinity.search().unwrap();
            response.as_bytes().chunks(size).for_each(|piece| search.see(piece));
            assert_eq!(search.into_home(), Some(home()), "a request in pieces of {size}");
        }
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let affinity = Affinity::default();
        let home = home();
        let id = |number: usize| format!("file-{number:012}");
        for number in 0..=MOST {
            affinity.remember([id(number).as_str()].into_iter(), &origin(home.clone(), None));
        }
        let found = |number| affinity.home(&format!("/v1/files/{}", id(number)).parse().unwrap(), None);
        assert_eq!((found(0), found(1), found(MOST)), (None, Some(home.clone()), Some(home)));
    }

    #[test]
    fn an_id_that_another_account_repeats_stays_where_it_is() {
        let affinity = Affinity::default();
        let found = || affinity.home(&"/v1/files/file-0123456789".parse().unwrap(), None);
        let learn = |home: &str, before: Option<&str>| {
            let origin = origin(home_at(home), before.map(home_at));
            affinity.remember(["file-0123456789"].into_iter(), &origin);
        };
        learn("one", None);
        learn("two", None);
        learn("two", Some("three"));
        assert_eq!(found(), Some(home_at("one")));
        learn("two", Some("one"));
        assert_eq!(found(), Some(home_at("two")), "the first was asked, and did not have it");
    }
}
