//! The four scopes that a lease needs a permit of.
//!
//! A [`Scope`](crate::classify::Scope) also has three values that concern no key: the provider, the provider for one
//! model, and nothing. A lease has no permit of those. As a type of its own, a level is an index into the permits,
//! and no `match` has to say what a permit of the provider would be.

/// The four scopes that have to admit a lease, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pool) enum Level {
    Key = 0,
    Account = 1,
    KeyModel = 2,
    AccountModel = 3,
}

// === impl Level ===

impl Level {
    pub(in crate::pool) const ALL: [Self; 4] = [Self::Key, Self::Account, Self::KeyModel, Self::AccountModel];
    /// The scopes that apply to a key for every model.
    pub(in crate::pool) const OF_KEY: [Self; 2] = [Self::Key, Self::Account];

    pub(in crate::pool) const OF_MODEL: [Self; 2] = [Self::KeyModel, Self::AccountModel];

    pub(in crate::pool) const OF_ACCOUNT: [Self; 2] = [Self::Account, Self::AccountModel];

    pub(in crate::pool) const fn is_model(self) -> bool {
        matches!(self, Self::KeyModel | Self::AccountModel)
    }
}
