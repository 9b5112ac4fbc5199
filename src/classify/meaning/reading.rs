//! Reading an error body: from its names and sentences to topics.

use crate::classify::error_body::ErrorBody;
use crate::classify::meaning::evidence::{Evidence, Why};
use crate::classify::meaning::text::statement;
use crate::classify::meaning::topic::Topic;
use crate::classify::meaning::topic::Topics;
use crate::classify::meaning::{lexicon, names};

/// Maximum length of the message that is read, in bytes. A refusal says its reason in the first sentences.
const MAX_BYTES: usize = 1536;

/// The meaning of an error body, before the status is considered.
///
/// ```
/// use tower_key_rotation::classify::{ErrorBody, Evidence, Reading};
///
/// let body = ErrorBody::parse(br#"{"error":{"code":"no_money","message":"Your balance is insufficient."}}"#);
/// let reading = Reading::of(&body);
/// assert!(reading.says(Evidence::Money));
/// assert!(!reading.names(Evidence::Money));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Topics of the error names.
    pub(super) named: Topics,
    /// Topics of the sentences.
    pub(super) said: Topics,
}

/// Topics that count as a kind of evidence.
pub(super) const fn topics_of(evidence: Evidence) -> Topics {
    match evidence {
        Evidence::Access => Topics::of(&[Topic::Access, Topic::Upgrade]),
        Evidence::Address => Topics::of(&[Topic::Address]),
        Evidence::Capacity => Topics::of(&[Topic::Capacity]),
        Evidence::Key => Topics::of(&[Topic::Key, Topic::Closed]),
        Evidence::Money => Topics::of(&[Topic::Money]),
        Evidence::Plan => Topics::of(&[Topic::Window, Topic::Quota]),
        Evidence::Rate => Topics::of(&[Topic::Rate, Topic::Short]),
        Evidence::Request => Topics::of(&[Topic::Missing, Topic::Request, Topic::Content]),
        Evidence::Upstream => Topics::of(&[Topic::Upstream]),
    }
}

/// Topics about an account or a key, independent of the request.
const OF_ACCOUNT: Topics = Topics::of(&[
    Topic::Money,
    Topic::Window,
    Topic::Quota,
    Topic::Access,
    Topic::Upgrade,
    Topic::Key,
    Topic::Closed,
]);

/// Statuses that errors about a topic usually have.
const USUAL: [(Topic, u16); 11] = [
    (Topic::Money, 402),
    (Topic::Window, 429),
    (Topic::Rate, 429),
    (Topic::Quota, 429),
    (Topic::Key, 401),
    (Topic::Closed, 403),
    (Topic::Access, 403),
    (Topic::Capacity, 503),
    (Topic::Content, 400),
    (Topic::Request, 400),
    (Topic::Missing, 404),
];

// === impl Reading ===

impl Reading {
    /// Reads the names and the message of an error body.
    pub fn of(body: &ErrorBody) -> Self {
        let named = body.names().map(in_name).fold(Topics::NONE, Topics::and);
        let wrapped = body.wrapped_names().map(in_name).fold(Topics::NONE, Topics::and);
        Self { named, said: in_sentences(body.message()).and(wrapped) }
    }

    /// Returns whether a sentence of the message is evidence of this kind.
    pub fn says(&self, evidence: Evidence) -> bool {
        self.said.has_any(topics_of(evidence))
    }

    /// Returns whether an error name is evidence of this kind. A name that only restates the status, such as
    /// `rate_limit_error`, is none.
    pub fn names(&self, evidence: Evidence) -> bool {
        self.named.has_any(topics_of(evidence))
    }

    /// Returns all pieces of evidence: those of the names, then those of the sentences.
    pub fn pieces(&self) -> impl Iterator<Item = Why> {
        let named = Evidence::ALL.into_iter().filter(|evidence| self.names(*evidence)).map(Why::Name);
        named.chain(Evidence::ALL.into_iter().filter(|evidence| self.says(*evidence)).map(Why::Sentence))
    }

    /// Returns the status that a refusal with this meaning usually has, for an error that came without one.
    pub(crate) fn usual_status(&self) -> Option<u16> {
        let usual =
            |topics: Topics| USUAL.iter().find(|(topic, _)| topics.has(*topic)).map(|(_, status)| *status);
        usual(self.named).or_else(|| usual(self.said))
    }

    /// Returns whether the names or the sentences give a reason that lies in the account or the key.
    pub(crate) fn is_of_account(&self) -> bool {
        self.all().has_any(OF_ACCOUNT)
    }

    /// Returns the reading in which a quota that nothing describes is a rate.
    pub(super) const fn as_rate(self) -> Self {
        Self { named: without_quota(self.named), said: without_quota(self.said) }
    }

    /// Returns the topics of names and sentences together.
    pub(super) const fn all(&self) -> Topics {
        self.named.and(self.said)
    }
}

const fn without_quota(topics: Topics) -> Topics {
    match topics.has(Topic::Quota) {
        true => topics.without(Topics::of(&[Topic::Quota])).with(Topic::Rate),
        false => topics,
    }
}

fn in_name(name: &str) -> Topics {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Topics::NONE;
    }
    let words = names::words_of(name);
    if names::is_generic(&words) { Topics::NONE } else { within_sentence(lexicon::name(&words)) }
}

fn in_sentences(message: &str) -> Topics {
    let end =
        (0..=MAX_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at)).unwrap_or_default();
    lexicon::sentences(&statement(&message[..end]))
        .into_iter()
        .map(within_sentence)
        .fold(Topics::NONE, Topics::and)
}

/// Returns the topics of one sentence, where one word of it decides about another.
fn within_sentence(mut topics: Topics) -> Topics {
    // A quota per minute is a rate, and `api key not found` is about the key.
    if topics.has(Topic::Short) && topics.has_any(topics_of(Evidence::Plan)) {
        topics = topics.without(topics_of(Evidence::Plan)).with(Topic::Rate);
    }
    if topics.has(Topic::Key) {
        topics = topics.without(Topics::of(&[Topic::Missing]));
    }
    if topics.has(Topic::NotHere) {
        topics = topics.without(Topics::of(&[Topic::Missing, Topic::Request])).with(Topic::Access);
    }
    // A model that is not offered in a country says nothing about the address of the client.
    if topics.has(Topic::Address) && topics.has(Topic::Model) {
        topics = topics.without(Topics::of(&[Topic::Address])).with(Topic::Access);
    }
    if topics.has(Topic::Address) {
        topics = topics.without(Topics::of(&[Topic::Request]));
    }
    // The mention of a model or of one key counts only beside the limit that it is about.
    let is_limit = topics.has_any(Topics::of(&[Topic::Limit, Topic::Window, Topic::Capacity, Topic::Rate]));
    if !is_limit {
        topics = topics.without(Topics::of(&[Topic::Model]));
    }
    if !topics.has_any(OF_ACCOUNT.with(Topic::Rate)) {
        topics = topics.without(Topics::of(&[Topic::OneKey, Topic::Account]));
    }
    topics
}
