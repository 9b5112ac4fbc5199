//! The traits that the public types implement.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use bytes::Bytes;
use http_body_util::Full;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::classify::{Outcome, Verdict};
use tower_key_rotation::event::{Event, Events, Subscription};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer};
use tower_key_rotation::guard::{OriginGuardFuture, OriginGuardLayer};
use tower_key_rotation::key::{ApiKey, Secret};
use tower_key_rotation::pool::{Lease, PoolSnapshot};
use tower_key_rotation::rotate::{KeyRotation, ResponseFuture};
use tower_key_rotation::{
    AllKeysFailed, Error, KeyPool, KeyRotationLayer, Provider, RespondLayer, RetryBudget, Served,
};

assert_impl_all!(KeyPool: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Provider: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(KeyRotationLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(KeyRotation<()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ProviderFallbackLayer<NotClone>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ProviderFallback<(), NotClone>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ProviderFallbackLayer<ResponseBody<Full<Bytes>>>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(RetryBudget: Clone, Send, Sync, std::fmt::Debug, Default);
assert_impl_all!(OriginGuardFuture<NotClone>: Send, Unpin, std::fmt::Debug);
assert_impl_all!(RespondLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(OriginGuardLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ResponseFuture<Full<Bytes>>: Send, Unpin);
assert_impl_all!(ResponseBody<Full<Bytes>>: Send, Sync, Unpin, Default);
assert_impl_all!(ResponseBody<hyper::body::Incoming>: Send, Sync, Unpin, Default);
assert_impl_all!(ResponseBody<ResponseBody<hyper::body::Incoming>>: Send, Sync, Unpin, Default);
assert_impl_all!(ReplayBody: Clone, Send, Sync, Unpin);
assert_impl_all!(Error: Send, Sync, std::error::Error);
assert_impl_all!(AllKeysFailed: Send, Sync, std::error::Error);
assert_impl_all!(Served: Clone, Send, Sync);
assert_impl_all!(Lease: Send, Sync);
assert_impl_all!(Outcome: Clone, Send, Sync);
assert_impl_all!(Verdict: Clone, Send, Sync);
assert_impl_all!(Events: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Event: Clone, Send, Sync, serde::Serialize);
assert_impl_all!(Subscription: futures_util::Stream, Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(PoolSnapshot: serde::Serialize, serde::de::DeserializeOwned);
assert_not_impl_any!(Secret: serde::Serialize);
assert_not_impl_any!(ApiKey: serde::Serialize);

/// Stands for the body of a real client, which implements none of these traits.
struct NotClone;

/// Defaults can be named without naming a body or a classifier.
const _: [usize; 5] = [
    KeyRotationLayer::MAX_ATTEMPTS,
    KeyRotationLayer::MAX_RETRIES,
    KeyRotationLayer::PEEK_EVENTS,
    ProviderFallbackLayer::MAX_ATTEMPTS,
    ProviderFallbackLayer::COMPLETE_CAP,
];
