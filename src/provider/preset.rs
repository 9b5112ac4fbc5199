//! A provider as data.

use crate::provider::dialect::Dialect;
use crate::provider::key_call::KeyCall;
use crate::provider::{AuthScheme, Endpoints, ModelPath};

/// A provider as data.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    /// Base URL for clients. `None` if each customer or each installation has a host of its own.
    pub(super) base_url: Option<&'static str>,
    /// Origins to which keys may be sent, in addition to that of the base URL.
    pub(super) hosts: &'static [&'static str],
    pub(super) auth: AuthScheme,
    /// Prefixes of environment variables: `OPENAI` for `OPENAI_API_KEY`.
    pub(super) env_prefixes: &'static [&'static str],
    /// Environment variables whose whole name is the provider's own: `HF_TOKEN`.
    pub(super) env_names: &'static [&'static str],
    /// Beginnings that only keys of this provider have. Empty if there are none, or none are known.
    pub(super) key_starts: &'static [&'static str],
    /// Whether requests need a key.
    pub(super) needs_key: bool,
    pub(super) model_path: ModelPath,
    /// Endpoints below the base URL, and in the provider's own API.
    pub(super) endpoints: Endpoints,
    pub(super) dialect: &'static Dialect,
    /// The free call that proves a key, if it is not the list of models.
    pub(super) key_call: Option<KeyCall>,
    /// Page that states the base URL and the authentication.
    pub(super) docs: &'static str,
}

// === impl Preset ===

impl Preset {
    /// Creates a preset with a base URL and bearer tokens.
    pub(super) const fn new(
        name: &'static str,
        base_url: &'static str,
        env_prefixes: &'static [&'static str],
        dialect: &'static Dialect,
        docs: &'static str,
    ) -> Self {
        Self::with_auth(name, Some(base_url), AuthScheme::Bearer, env_prefixes, dialect, docs)
    }

    /// Creates a preset whose hosts differ by customer or installation, with bearer tokens.
    pub(super) const fn hosted(
        name: &'static str,
        env_prefixes: &'static [&'static str],
        dialect: &'static Dialect,
        docs: &'static str,
    ) -> Self {
        Self::with_auth(name, None, AuthScheme::Bearer, env_prefixes, dialect, docs)
    }

    /// Creates a preset with any authentication.
    pub(super) const fn with_auth(
        name: &'static str,
        base_url: Option<&'static str>,
        auth: AuthScheme,
        env_prefixes: &'static [&'static str],
        dialect: &'static Dialect,
        docs: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            base_url,
            hosts: &[],
            auth,
            env_prefixes,
            env_names: &[],
            key_starts: &[],
            needs_key: true,
            model_path: ModelPath::None,
            endpoints: Endpoints::COMMON,
            dialect,
            key_call: None,
            docs,
        }
    }

    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn hosts(mut self, hosts: &'static [&'static str]) -> Self {
        self.hosts = hosts;
        self
    }

    pub(super) const fn env_names(mut self, env_names: &'static [&'static str]) -> Self {
        self.env_names = env_names;
        self
    }

    pub(super) const fn key_starts(mut self, key_starts: &'static [&'static str]) -> Self {
        self.key_starts = key_starts;
        self
    }

    pub(super) const fn without_key(mut self) -> Self {
        self.needs_key = false;
        self
    }

    pub(super) const fn model_path(mut self, model_path: ModelPath) -> Self {
        self.model_path = model_path;
        self
    }

    /// Sets the endpoints. Default: [`Endpoints::COMMON`].
    pub(super) const fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Sets the free call that proves a key. Default: the list of models, if the provider has one.
    pub(super) const fn key_call(mut self, call: KeyCall) -> Self {
        self.key_call = Some(call);
        self
    }

    /// Iterates over all origins to which keys may be sent, that of the base URL first.
    pub(super) fn origins(&self) -> impl Iterator<Item = &'static str> {
        self.base_url.map(origin_of).into_iter().chain(self.hosts.iter().copied())
    }
}

/// Returns the part of a URL before its path.
fn origin_of(url: &'static str) -> &'static str {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    url[host..].find('/').map_or(url, |path| &url[..host + path])
}
