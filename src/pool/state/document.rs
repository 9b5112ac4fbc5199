//! The exported state of a pool, and its form in JSON.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::pool::state::field::Field;
use crate::pool::state::register::{CAUSES, Register};

/// The state of a pool that is worth keeping: cooldowns, invalid and disabled keys, learned accounts, and the
/// counts of limits. Created by [`KeyPool::export`](crate::KeyPool::export).
///
/// It has no secret: keys are named by digests of their secrets, so a key whose secret was replaced starts
/// clean. States of one provider can be [merged](Self::merge) in any order and repeatedly, without counting
/// anything twice.
///
/// # Format
///
/// It is serialized as an object with the members `version` (1), `provider`, `at` (the time of the export, in
/// milliseconds since the Unix epoch) and `records`. Records of an unknown kind are ignored. A state of a
/// newer version is an error. An unknown key does no harm: it is kept for a week, in case it comes back.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::pool::PoolState;
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let keys = || ApiKey::new("sk-one").map(|key| key.id("one"));
/// let pool = KeyPool::builder(Provider::openai()).key(keys()?).build()?;
/// pool.cool_down(&"one".into(), None, Duration::from_secs(60))?;
/// let json = serde_json::to_string(&pool.export())?;
///
/// // After a restart:
/// let state: PoolState = serde_json::from_str(&json)?;
/// let pool = KeyPool::builder(Provider::openai()).key(keys()?).restore(state).build()?;
/// assert_eq!(pool.usable(None), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    pub(in crate::pool) provider: String,
    /// The time of the export, in milliseconds since the Unix epoch.
    pub(in crate::pool) at: u64,
    pub(in crate::pool) registers: BTreeMap<Field, Register>,
}

/// An error: a state belongs to the pool of another provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state belongs to the provider {found}, and not to {expected}: give each provider its own state")]
pub struct OtherProvider {
    /// The provider of the pool, or of the state that was to be extended.
    pub expected: String,
    /// The provider of the given state.
    pub found: String,
}

/// The version of the format.
const VERSION: u64 = 1;

// === impl PoolState ===

impl PoolState {
    /// Returns the name of the provider. An empty state that was not exported has none.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the time of the export, by the wall clock.
    pub const fn exported_at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.at)
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.registers.len()
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.registers.is_empty()
    }

    /// Adds the records of another state. Of two records about the same thing the newer one stays, as far as
    /// that can be told: an operator's reset wins over all cooldowns before it, and of the cooldowns after it
    /// the longest stays.
    ///
    /// The result is the same in whatever order and however often states are merged.
    ///
    /// # Errors
    ///
    /// Returns [`OtherProvider`], and changes nothing, if the states are of two providers.
    pub fn merge(&mut self, other: Self) -> Result<(), OtherProvider> {
        other.check(&self.provider)?;
        if self.provider.is_empty() {
            self.provider = other.provider;
        }
        self.at = self.at.max(other.at);
        for (field, register) in other.registers {
            let known = self.registers.entry(field).or_default();
            *known = register.max(*known);
        }
        Ok(())
    }

    /// Returns whether both states have the same records, whenever they were exported.
    #[cfg(feature = "file-store")]
    pub(crate) fn has_records_of(&self, other: &Self) -> bool {
        self.registers == other.registers
    }

    /// Checks that the state belongs to a provider.
    pub(in crate::pool) fn check(&self, provider: &str) -> Result<(), OtherProvider> {
        let is_same = self.provider == provider || self.provider.is_empty() || provider.is_empty();
        let other = || OtherProvider { expected: provider.to_owned(), found: self.provider.clone() };
        is_same.then_some(()).ok_or_else(other)
    }
}

// === the format ===

#[derive(Serialize, Deserialize)]
struct Document {
    version: u64,
    provider: String,
    #[serde(default)]
    at: u64,
    #[serde(default)]
    records: Vec<Map<String, Value>>,
}

/// An error in the format of a state.
#[derive(Debug, thiserror::Error)]
enum InvalidDocument {
    #[error("the state has the format version {0}, and this release reads version {VERSION}")]
    Version(u64),
    #[error("record number {number}: {source}")]
    Record { number: usize, source: serde_json::Error },
}

impl Serialize for PoolState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let records = self.registers.iter().map(|(field, register)| record(field, *register)).collect();
        let document = Document { version: VERSION, provider: self.provider.clone(), at: self.at, records };
        document.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PoolState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(deserializer)?;
        document.into_state().map_err(D::Error::custom)
    }
}

impl Document {
    fn into_state(self) -> Result<PoolState, InvalidDocument> {
        let Self { version, provider, at, records } = self;
        if version != VERSION {
            return Err(InvalidDocument::Version(version));
        }
        let mut state = PoolState { provider, at, ..PoolState::default() };
        for (index, record) in records.into_iter().enumerate() {
            let invalid = |source| InvalidDocument::Record { number: index + 1, source };
            let (field, register) = parse(record).map_err(invalid)?;
            if field != Field::Unknown {
                let known = state.registers.entry(field).or_default();
                *known = register.max(*known);
            }
        }
        Ok(state)
    }
}

/// Returns the members of a field and of its register in one object.
fn record(field: &Field, Register(numbers): Register) -> Map<String, Value> {
    let mut record = match serde_json::to_value(field) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    };
    for (name, number) in field.names().iter().zip(numbers) {
        let cause = usize::try_from(number).ok().and_then(|number| CAUSES.get(number));
        let value = match cause.filter(|_| *name == "cause") {
            Some(cause) => Value::from(*cause),
            None => Value::from(number),
        };
        record.insert((*name).to_owned(), value);
    }
    record
}

fn parse(record: Map<String, Value>) -> Result<(Field, Register), serde_json::Error> {
    let record = Value::Object(record);
    let field = Field::deserialize(&record)?;
    let mut register = Register::default();
    for (name, number) in field.names().iter().zip(&mut register.0) {
        *number = match &record[*name] {
            Value::String(cause) => CAUSES.iter().position(|known| known == cause).unwrap_or(0) as u64,
            Value::Null => 0,
            value => u64::deserialize(value)?,
        };
    }
    Ok((field, register))
}
