//! The names of registers.

use serde::{Deserialize, Serialize};

use crate::limits::GaugeName;
use crate::pool::state::owner::{KeyDigest, Owner};
use crate::provider::ModelId;

/// The name of a register: what it describes, and of which key or account.
///
/// In JSON it has a member `kind`, and the members of its variant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Field {
    /// The cooldown of a scope.
    Cooldown {
        owner: Owner,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
    },
    /// The last reset of an owner by an operator.
    Reset { owner: Owner },
    /// The last time that an operator reset the counts of an owner; for all models without one.
    Recount {
        owner: Owner,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
    },
    /// Whether an operator has disabled a key.
    Disabled { key: KeyDigest },
    /// The cooldown that an operator has ordered for a key.
    Forced {
        key: KeyDigest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
    },
    /// The account that the responses of a key show.
    Identity { key: KeyDigest },
    /// A limit that responses reported.
    Learned {
        owner: Owner,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
        #[serde(flatten)]
        gauge: GaugeName,
    },
    /// The amount that one process has taken of a declared limit.
    Count {
        owner: Owner,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
        #[serde(flatten)]
        gauge: GaugeName,
        instance: Instance,
    },
    /// The last time that a pool had an owner.
    Seen { owner: Owner },
    /// A kind of a later version.
    #[serde(other)]
    Unknown,
}

/// The random id of one pool in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Instance(pub(crate) u64);

// === impl Field ===

impl Field {
    /// Returns the names of the register's numbers, in their order.
    pub(in crate::pool) const fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Cooldown { .. } => &["generation", "until", "cause", "strikes", "since"],
            Self::Reset { .. } | Self::Recount { .. } => &["generation"],
            Self::Disabled { .. } => &["generation", "since", "drains"],
            Self::Forced { .. } => &["generation", "until", "since"],
            Self::Identity { .. } => &["at", "identity"],
            Self::Learned { .. } => &["at", "limit", "remaining", "full_at"],
            Self::Count { .. } => &["generation", "ends", "version", "used", "full_at"],
            Self::Seen { .. } => &["at"],
            Self::Unknown => &[],
        }
    }

    /// Returns the key or account that the register belongs to.
    pub(in crate::pool) fn owner(&self) -> Option<Owner> {
        match self {
            Self::Cooldown { owner, .. }
            | Self::Reset { owner }
            | Self::Recount { owner, .. }
            | Self::Learned { owner, .. }
            | Self::Count { owner, .. }
            | Self::Seen { owner } => Some(owner.clone()),
            Self::Disabled { key } | Self::Forced { key, .. } | Self::Identity { key } => {
                Some(Owner::Key(*key))
            }
            Self::Unknown => None,
        }
    }
}

// === impl Instance ===

impl TryFrom<String> for Instance {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

impl From<Instance> for String {
    fn from(instance: Instance) -> Self {
        format!("{:016x}", instance.0)
    }
}
