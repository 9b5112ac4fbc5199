//! The topics of error messages, and the rows of the tables that recognise them.

/// A topic that a sentence or an error name can be about. Finer than
/// [`Evidence`](crate::classify::Evidence).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Topic {
    /// A balance, credits, a bill: a payment is due.
    Money,
    /// The allowance of a plan or of an hour, a day, a week, a month is used up.
    Window,
    /// A quota is used up, and nothing says which.
    Quota,
    /// Too many requests or tokens in a short time.
    Rate,
    /// A limit per minute or second, or of concurrent requests, is mentioned.
    Short,
    /// The provider or the model has no capacity.
    Capacity,
    /// A provider behind the provider is mentioned.
    Upstream,
    /// The account may not use this, for a reason that is stated: activation, plan, verification, terms.
    Access,
    /// The model does not exist for this account, or is not supported for it.
    NotHere,
    /// Access is denied, and no reason is stated.
    Denied,
    /// A higher plan is recommended.
    Upgrade,
    /// The country or the address of the client is refused.
    Address,
    /// The key is invalid, expired, revoked or leaked.
    Key,
    /// The account is suspended, disabled or closed.
    Closed,
    /// The requested thing does not exist.
    Missing,
    /// The request is malformed, too long, or asks for an unsupported option.
    Request,
    /// A content policy refused the request.
    Content,
    /// A model is mentioned.
    Model,
    /// One model costs money that others do not.
    PaidModel,
    /// The account as a whole is mentioned.
    Account,
    /// A limit that belongs to one key is mentioned.
    OneKey,
    /// Some limit is reached.
    Limit,
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics(u32);

/// One row of a table: a topic, and groups of words. The row holds for a sentence that contains at least one
/// word or phrase of every group, in any order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) topic: Topic,
    pub(super) groups: &'static [Words],
    /// Whether the row holds for error names only, and not for sentences.
    pub(super) names_only: bool,
}

/// A group of words and phrases with the same meaning, in lower case. A plural `s` may follow each of them.
pub(super) type Words = &'static [&'static str];

/// Creates a row.
pub(super) const fn row(topic: Topic, groups: &'static [Words]) -> Row {
    Row { topic, groups, names_only: false }
}

/// Creates a row that holds for error names only.
pub(super) const fn name(topic: Topic, groups: &'static [Words]) -> Row {
    Row { topic, groups, names_only: true }
}

// === impl Topics ===

impl Topics {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn of(topics: &[Topic]) -> Self {
        let mut set = Self::NONE;
        let mut at = 0;
        while at < topics.len() {
            set = set.with(topics[at]);
            at += 1;
        }
        set
    }

    pub(crate) const fn with(self, topic: Topic) -> Self {
        Self(self.0 | 1 << topic as u8)
    }

    pub(crate) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) const fn has(self, topic: Topic) -> bool {
        self.0 & (1 << topic as u8) != 0
    }

    pub(crate) const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}
