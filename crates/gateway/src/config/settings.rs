//! A checked configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderName, HeaderValue, Uri};
use tower_key_rotation::cloud::Cloud;
use tower_key_rotation::event::Events;
use tower_key_rotation::fallback::Route;
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::pool::{KeyPool, Selection};
use tower_key_rotation::provider::Endpoints;

use crate::alert::Webhook;
use crate::config::caller::CallerSettings;
use crate::config::chain::ChainSettings;
use crate::config::check::CheckSettings;
use crate::config::file::{ChainTable, LimitTable, RuleTable};
use crate::config::known_source::KnownSource;
use crate::config::read_file::{self, ReadFile};
use crate::config::secret::Token;
use crate::config::server::ServerSettings;
use crate::config::status::StatusSettings;
use crate::config::store::StoreSettings;
use crate::config::warning::Warning;

/// A checked configuration. Created by a [`Loader`](crate::config::Loader).
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) listen: Option<SocketAddr>,
    pub(super) token: Option<Token>,
    pub(super) stores: StoreSettings,
    pub(super) chain: ChainSettings,
    /// The `[chain]` table as it is in the file.
    pub(super) chain_table: ChainTable,
    pub(super) server: ServerSettings,
    pub(super) status: StatusSettings,
    pub(super) checks: CheckSettings,
    pub(super) alerts: Vec<Webhook>,
    pub(super) callers: Vec<CallerSettings>,
    pub(super) cors: Vec<HeaderValue>,
    pub(super) affinity_header: Option<HeaderName>,
    pub(super) events: Events,
    /// Never empty, with unique names.
    pub(super) providers: Vec<ProviderSettings>,
    /// Index of the first provider of the chain.
    pub(super) first: usize,
    pub(super) warnings: Vec<Warning>,
    /// The files that were read: that of the configuration, and those of secrets.
    pub(super) files: Vec<ReadFile>,
    /// The sources of secrets of its keys.
    pub(super) known_sources: Vec<KnownSource>,
}

/// One `[[provider]]` table: the provider's base URL, its keys, and its names for models.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    pub(super) name: String,
    pub(super) base_url: Uri,
    pub(super) cloud: Option<Cloud>,
    pub(super) models: BTreeMap<String, String>,
    pub(super) route: Route,
    pub(super) endpoints: Endpoints,
    pub(super) limits_models: bool,
    pub(super) check_path: Option<String>,
    pub(super) pool: KeyPool,
    /// The keys that the pool was built with.
    pub(super) keys: Vec<ApiKey>,
    pub(super) pool_table: PoolTable,
    /// Whether a task renews the secrets of the pool.
    pub(super) is_renewing: Arc<AtomicBool>,
}

/// The settings of a pool as they are in the file, without its keys. Pools with equal settings differ in their keys
/// only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PoolTable {
    pub(super) dialect: Option<String>,
    pub(super) base_url: Uri,
    pub(super) selection: Option<String>,
    pub(super) learn_accounts: Option<bool>,
    /// The settings for all pools: the selection, and the warning thresholds.
    pub(super) common: (Selection, Option<Vec<f64>>),
    pub(super) limit: Vec<LimitTable>,
    pub(super) rule: Vec<RuleTable>,
}

// === impl PoolTable ===

impl PoolTable {
    /// Returns whether requests to both pools reach the same address, and responses mean the same.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.dialect == other.dialect && self.base_url == other.base_url && self.rule == other.rule
    }
}

// === impl Config ===

impl Config {
    /// Returns the address to listen on; `None` if the file does not set one.
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Returns the token that callers must send; `None` if there is none. [Callers](Self::callers) have tokens of
    /// their own.
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Returns the settings of the chain.
    pub const fn chain(&self) -> &ChainSettings {
        &self.chain
    }

    /// Returns the `[server]` table: limits on connections and requests, for a server around the layers.
    pub const fn server(&self) -> &ServerSettings {
        &self.server
    }

    /// Returns the `[status]` table: the operator token, and the providers that health requires.
    pub const fn status(&self) -> &StatusSettings {
        &self.status
    }

    /// Returns the `[checks]` table: checks of keys on a schedule.
    pub const fn checks(&self) -> &CheckSettings {
        &self.checks
    }

    /// Returns the `[[caller]]` tables.
    pub fn callers(&self) -> &[CallerSettings] {
        &self.callers
    }

    /// Returns whether every caller of a provider must send a token.
    pub const fn requires_token(&self) -> bool {
        self.token.is_some() || !self.callers.is_empty()
    }

    /// Returns the stores of the state of keys.
    pub const fn stores(&self) -> &StoreSettings {
        &self.stores
    }

    /// Returns the webhooks of the `[[alert]]` tables.
    pub fn alerts(&self) -> &[Webhook] {
        &self.alerts
    }

    /// Returns the origins whose pages may use the gateway, from the `[cors]` table. `*` stands for all.
    pub fn cors_origins(&self) -> &[HeaderValue] {
        &self.cors
    }

    /// Returns the header whose value identifies related requests. A server turns its value into a
    /// [`Session`](tower_key_rotation::Session).
    pub const fn affinity_header(&self) -> Option<&HeaderName> {
        self.affinity_header.as_ref()
    }

    /// Returns the event hub that all pools of this configuration and its clones share. Give it to the chain
    /// as well.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Returns all providers in the order of the file, including those outside the chain.
    pub fn providers(&self) -> &[ProviderSettings] {
        &self.providers
    }

    /// Returns the providers of the chain in order of preference: the first one, and the others.
    pub fn chain_providers(&self) -> (&ProviderSettings, impl Iterator<Item = &ProviderSettings>) {
        let others = self.chain.order().iter().skip(1).filter_map(|name| self.provider(name));
        (&self.providers[self.first], others)
    }

    /// Returns the settings that expose keys without being errors: a base URL in clear text, a secret that
    /// any user can read. The loader has already logged each of them.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the files that were read: that of the configuration first, and those of secrets. Empty if the
    /// configuration is no file and has no secret in a file.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| &*file.path)
    }

    /// Returns whether one of its [files](Self::files) has other content now, or can't be read. Reads the files and
    /// therefore blocks.
    pub fn is_outdated(&self) -> bool {
        self.files.iter().any(ReadFile::has_changed)
    }

    /// Returns a digest of the present content of its [files](Self::files) and of another one. Reads the files and
    /// therefore blocks.
    pub fn digest_of_files(&self, other: &Path) -> [u8; 32] {
        read_file::digest(self.files().chain([other]))
    }

    /// Returns the provider with this name; `None` if there is none.
    pub fn provider(&self, name: &str) -> Option<&ProviderSettings> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}

// === impl ProviderSettings ===

impl ProviderSettings {
    /// Entry in [`models`](Self::models) for any model without an entry of its own.
    pub const ANY_MODEL: &str = "*";

    /// Returns the name of the provider, which is also that of the [pool](Self::pool)'s provider.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the base URL: scheme, host, and the beginning of every path.
    pub const fn base_url(&self) -> &Uri {
        &self.base_url
    }

    /// Returns the cloud whose own paths and members requests get; `None` if they are sent as callers write them.
    ///
    /// A provider with a `cloud` serves the dialects of Anthropic, OpenAI and Google at the paths of Vertex AI, Bedrock or
    /// Azure; [`cloud`](tower_key_rotation::cloud) lists what is rewritten, and what is not. `POST /v1/messages` and
    /// `/v1/messages/count_tokens` go to all providers of the chain that have Anthropic's Messages, in order, and
    /// `/v1beta/models/MODEL:generateContent`, `:streamGenerateContent` and `:countTokens` to all that have Google's API. So
    /// a coding agent that uses Anthropic goes on at Vertex AI and Bedrock. Other paths of these APIs, such as files and
    /// batches, concern the account of the first provider and go nowhere else.
    ///
    /// | `cloud` | base URL | fields | keys |
    /// |---|---|---|---|
    /// | `vertex` | `https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION` | `project`, `location` | a `service_account`, or another source of access tokens |
    /// | `bedrock` | `https://bedrock-runtime.REGION.amazonaws.com` | `region` | an API key, `aws`, or `ID:SECRET[:TOKEN]` from a source |
    /// | `bedrock-mantle` | `https://bedrock-mantle.REGION.api.aws` | `region` | as `bedrock` |
    /// | `azure` | required: `https://RESOURCE.openai.azure.com` | `api_version` | a key of the resource, or `oauth2` for Microsoft Entra |
    ///
    /// A `base_url` beside `cloud` replaces the origin: a proxy or a private endpoint. Of a Vertex key with a project of its
    /// own it is the whole `https://…/v1/projects/PROJECT/locations/LOCATION`. Azure serves Claude if `endpoints` has
    /// `"+messages"`.
    pub const fn cloud(&self) -> Option<&Cloud> {
        self.cloud.as_ref()
    }

    /// Iterates over the renamed models as pairs of the caller's name and this provider's name, ordered by
    /// the caller's name.
    pub fn models(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models.iter().map(|(from, to)| (from.as_str(), to.as_str()))
    }

    /// Returns the route of the provider in a chain: its base URL and its names for models.
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// Returns the endpoints of this provider: those of its dialect, changed by `endpoints` in the file.
    pub const fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    /// Returns whether the file declares a limit for some of this provider's models. A request must then name
    /// its model in a way that can be read with certainty.
    pub const fn limits_models(&self) -> bool {
        self.limits_models
    }

    /// Returns the path of the free call that proves a key, below the base URL; `None` for that of the dialect.
    pub fn check_path(&self) -> Option<&str> {
        self.check_path.as_deref()
    }

    /// Returns whether no task renews the secrets of the pool yet, and notes that one does from now on.
    pub(crate) fn begins_renewal(&self) -> bool {
        !self.is_renewing.swap(true, Ordering::Relaxed)
    }

    /// Returns the pool of this provider's keys. They are sent only to the origin of
    /// [`base_url`](Self::base_url).
    pub const fn pool(&self) -> &KeyPool {
        &self.pool
    }
}
