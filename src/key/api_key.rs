//! One API key, as an operator declares it.

pub(super) mod settings;

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::key::destination::Destination;
use crate::key::id::{AccountId, KeyId};
use crate::key::restriction::Restriction;
use crate::key::source::SecretSource;
use crate::key::tier::Tier;
use crate::limits::{ModelPattern, Quota};
use crate::provider::{BaseUrl, ModelId};
use crate::scrub::secret::{InvalidSecret, Secret};
use crate::scrub::shows;

/// One API key: its secret, and how a [`KeyPool`](crate::KeyPool) uses it.
///
/// ```
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::key::KeyId;
///
/// let key = ApiKey::new("sk-team-a-secret")?.id("team-a").account("org-1").backup();
/// assert_eq!(key.declared_id().map(KeyId::as_str), Some("team-a"));
/// # Ok::<(), tower_key_rotation::key::InvalidSecret>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    /// The secret; a word without meaning for a key with a source.
    secret: Secret,
    source: Option<SecretSource>,
    id: Option<KeyId>,
    account: Option<AccountId>,
    tier: Tier,
    weight: NonZeroU32,
    quotas: Vec<Quota>,
    destination: Option<Arc<Destination>>,
    restriction: Option<Arc<Restriction>>,
}

// === impl ApiKey ===

impl ApiKey {
    /// Creates a primary key of weight 1. Its name is a fingerprint of its secret, and it counts as its own
    /// account.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidSecret`] if the text cannot be a key.
    pub fn new(secret: impl Into<String>) -> Result<Self, InvalidSecret> {
        Ok(Self::from(Secret::new(secret)?))
    }

    /// Creates the key of a server that needs none, such as one on the own machine. It is named `not-needed`,
    /// and `no-key-is-needed` is sent in its place, which such a server ignores.
    ///
    /// A pool without keys has this one, if its provider [needs none](crate::Provider::needs_key).
    pub fn not_needed() -> Self {
        Self::from(Secret::not_needed()).id("not-needed")
    }

    /// Sets the name of the key. Default: a fingerprint of the secret.
    ///
    /// A name that shows a part of the secret or has a control character makes
    /// [`KeyPoolBuilder::build`](crate::pool::KeyPoolBuilder::build) fail.
    #[must_use]
    pub fn id(mut self, id: impl Into<KeyId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the account whose limits this key shares: an organisation, a project, a workspace. Default: the
    /// key counts as its own account.
    ///
    /// The name of the account is shown in logs, like the [`id`](Self::id). The same restrictions apply to
    /// it.
    #[must_use]
    pub fn account(mut self, account: impl Into<AccountId>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Sets the tier of the key. Default: [`Tier::Primary`].
    #[must_use]
    pub const fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the tier to [`Tier::Backup`]: the key is used only while no primary key is usable.
    #[must_use]
    pub const fn backup(self) -> Self {
        self.tier(Tier::Backup)
    }

    /// Sets how often this key is chosen, relative to a key of weight 1. Default: 1.
    ///
    /// Every [`Selection`](crate::pool::Selection) except [`InOrder`](crate::pool::Selection::InOrder)
    /// respects it, and so do [`Session`](crate::Session)s.
    #[must_use]
    pub const fn weight(mut self, weight: NonZeroU32) -> Self {
        self.weight = weight;
        self
    }

    /// Adds a quota of this key alone, beside those of its account. May be called repeatedly; all quotas
    /// apply.
    ///
    /// Most limits belong to accounts: use [`KeyPoolBuilder::quota`](crate::pool::KeyPoolBuilder::quota) for
    /// those.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// Limits the number of requests in flight with this key, by a [`Quota::concurrent`]. Default: no limit.
    #[must_use]
    pub fn concurrency(self, requests: u32) -> Self {
        self.quota(Quota::concurrent(requests))
    }

    /// Sends the requests of this key to a base URL of its own: that of an Azure resource, a region, a relay.
    /// Default: requests go to the URL that they have.
    ///
    /// The key goes nowhere else, and no other key goes there unless it has the same base URL or the provider
    /// [allows](crate::Provider::allow_origin) the origin. A key with a base URL counts as its own account,
    /// unless it has a declared [`account`](Self::account) or responses show which it shares. If a resource does
    /// not have the model or object of a request (404), is overloaded or can't be reached, the request goes on to keys
    /// with other base URLs.
    ///
    /// ```
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let azure = Provider::preset("azure-openai").expect("a preset");
    /// let pool = KeyPool::builder(azure)
    ///     .key(ApiKey::new("secret-of-east")?.id("east").base_url("https://east.openai.azure.com".parse()?))
    ///     .key(ApiKey::new("secret-of-west")?.id("west").base_url("https://west.openai.azure.com".parse()?))
    ///     .build()?;
    /// # let _ = pool;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.destination_mut().base_url = Some(base_url);
        self
    }

    /// Sets a header on the requests of this key, such as an organisation or a project. It replaces that of the
    /// caller and of a chain. May be called repeatedly. Default: none.
    ///
    /// The value is marked as sensitive, so that no debug output shows it.
    #[must_use]
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.destination_mut().headers.push((name, value));
        self
    }

    /// Sets the name under which this key sends the model that requests name `model`, such as the name of an
    /// Azure deployment. May be called repeatedly, for different models. Default: the name that the request has.
    ///
    /// The name is replaced in the path, the JSON body or the form. Limits, cooldowns, events and
    /// [`Served`](crate::Served) keep the request's name.
    #[must_use]
    pub fn model_name(mut self, model: impl Into<ModelId>, sent: impl Into<ModelId>) -> Self {
        self.destination_mut().names.by_caller.insert(model.into(), sent.into());
        self
    }

    /// Adds patterns of the models that this key may be used for. `*` stands for any text. Default: all models.
    ///
    /// The patterns match the name in the request. A request that names no model may use the key. The model of a
    /// request has to be readable, as for [`Quota::for_models`].
    #[must_use]
    pub fn only_models<P: Into<ModelPattern>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.restriction_mut().models.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Adds patterns of models that this key may not be used for, even if
    /// [`only_models`](Self::only_models) has them. Default: none.
    #[must_use]
    pub fn except_models<P: Into<ModelPattern>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.restriction_mut().except_models.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Adds patterns of the endpoints that this key may be used for: paths of requests, as they reach the layer.
    /// `*` stands for any text. A pattern without `*` includes all paths below it. Default: all endpoints.
    ///
    /// A pattern that does not begin with `/` or `*` makes
    /// [`KeyPoolBuilder::build`](crate::pool::KeyPoolBuilder::build) fail.
    #[must_use]
    pub fn only_endpoints<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.restriction_mut().endpoints.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Adds patterns of endpoints that this key may not be used for, even if
    /// [`only_endpoints`](Self::only_endpoints) has them. Default: none.
    #[must_use]
    pub fn except_endpoints<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.restriction_mut().except_endpoints.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Returns the name that was set with [`id`](Self::id). `None` means that a pool names the key after the
    /// fingerprint of its secret.
    pub const fn declared_id(&self) -> Option<&KeyId> {
        self.id.as_ref()
    }

    /// Returns whether the text contains the secret of this key, as it is or in the way a URL or base64 shows it.
    pub fn appears_in(&self, text: &str) -> bool {
        match &self.source {
            Some(source) => source.valid().is_some_and(|issued| shows(text, issued.secret().expose())),
            None => shows(text, self.secret.expose()),
        }
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) const fn declared_account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    pub(crate) const fn declared_tier(&self) -> Tier {
        self.tier
    }

    pub(crate) const fn declared_weight(&self) -> NonZeroU32 {
        self.weight
    }

    pub(crate) fn declared_quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// Returns the base URL, the headers and the names of models of the key, if it has any.
    pub(crate) const fn destination(&self) -> Option<&Arc<Destination>> {
        self.destination.as_ref()
    }

    pub(crate) fn own_base_url(&self) -> Option<&BaseUrl> {
        self.destination.as_ref()?.base_url.as_ref()
    }

    /// Returns the models and endpoints that the key may be used for, if not all.
    pub(crate) fn restriction(&self) -> Option<&Arc<Restriction>> {
        self.restriction.as_ref().filter(|restriction| !restriction.is_none())
    }

    /// Returns the source of the secret, if it may change.
    pub(crate) const fn source(&self) -> Option<&SecretSource> {
        self.source.as_ref()
    }

    /// Returns the key with another secret.
    pub(crate) fn with_secret(self, secret: Secret) -> Self {
        Self { secret, source: None, ..self }
    }

    fn destination_mut(&mut self) -> &mut Destination {
        Arc::make_mut(self.destination.get_or_insert_default())
    }

    fn restriction_mut(&mut self) -> &mut Restriction {
        Arc::make_mut(self.restriction.get_or_insert_default())
    }
}

impl From<SecretSource> for ApiKey {
    /// Creates a primary key of weight 1 whose secret comes from a source. Its name is that of the source.
    fn from(source: SecretSource) -> Self {
        let key = Self::from(Secret::not_needed()).id(source.name());
        Self { source: Some(source), ..key }
    }
}

impl From<Secret> for ApiKey {
    fn from(secret: Secret) -> Self {
        Self {
            secret,
            source: None,
            id: None,
            account: None,
            tier: Tier::Primary,
            weight: NonZeroU32::MIN,
            quotas: Vec::new(),
            destination: None,
            restriction: None,
        }
    }
}
