//! The file as it is written, before anything in it is checked.
//!
//! Leaves are texts where serde would quote a value it does not like: what is wrong with one is said later,
//! with its place and without its content.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::secret::Reference;

/// The content of a configuration file, of whatever format: see the [module docs](super).
///
/// It can be part of a larger file of one's own; [`Loader::resolve`](super::Loader::resolve) makes a
/// [`Config`](super::Config) of it. It may hold secrets and can't be serialized.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct File {
    pub(super) listen: Option<String>,
    pub(super) token: Option<Reference>,
    #[serde(default)]
    pub(super) chain: ChainTable,
    #[serde(default)]
    pub(super) provider: Vec<ProviderTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ChainTable {
    pub(super) order: Option<Vec<String>>,
    pub(super) start: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) head_timeout: Option<String>,
    pub(super) first_content_timeout: Option<String>,
    pub(super) idle_timeout: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) context_length: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ProviderTable {
    pub(super) name: String,
    pub(super) dialect: Option<String>,
    pub(super) base_url: String,
    pub(super) keys_env: Option<String>,
    #[serde(default)]
    pub(super) models: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) key: Vec<KeyTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct KeyTable {
    pub(super) id: Option<String>,
    pub(super) secret: Reference,
    pub(super) account: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) weight: Option<NonZeroU32>,
}
