//! Conversion of a [`File`] into a [`Config`]. The checks run from the top of the file to its end.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::chain::{ChainSettings, Words, choice};
use crate::config::error::{ConfigError, Problem};
use crate::config::file::{File, KeyTable, LimitTable, ProviderTable};
use crate::config::place::Steps;
use crate::config::rotation::Rotation;
use crate::config::secret::{Reference, Sources, Token};
use crate::config::server::ServerSettings;
use crate::config::shown::{shown, shown_variable};
use crate::config::warning::{Risk, Warning};
use crate::config::{Config, ProviderSettings, base_url, limit};
use crate::event::Events;
use crate::key::{ApiKey, EnvKeys, InvalidName, Tier, has_unprintable};
use crate::pool::{BuildError, KeyPool, KeyPoolBuilder};
use crate::provider::Provider;
use crate::scrub::shows;

/// Dialect of a provider that no preset covers. Its responses are classified by the rules that hold for every
/// provider.
const COMPATIBLE: &str = "compatible";

/// Minimum length of a token in characters (8).
const SHORTEST_TOKEN: usize = 8;

/// Provider names that would be hidden by other paths of a gateway.
const RESERVED: [&str; 4] = ["v1", "api", "health", "metrics"];

const TIERS: Words<Tier> = Words(&["primary", "backup"], &[Tier::Primary, Tier::Backup]);

/// Settings that all providers share.
struct CommonSettings<'a> {
    sources: &'a Sources,
    rotation: Rotation,
    events: Events,
}

pub(super) fn config(file: File, sources: &Sources) -> Result<Config, ConfigError> {
    let root = Steps::default();
    let File { listen, token, chain, rotation, server, provider: tables } = file;
    let address =
        |text: String| text.trim().parse().map_err(|e| Problem::Address(e).at(root.field("listen")));
    let listen = listen.map(address).transpose()?;
    let read = |token: Reference| token.read(sources, &root.field("token"));
    let token = token.map(read).transpose()?;
    if token.as_ref().is_some_and(|token| token.expose().chars().count() < SHORTEST_TOKEN) {
        return Err(Problem::ShortToken { least: SHORTEST_TOKEN }.at(root.field("token")));
    }
    let token = token.map(Token::new);
    let server = ServerSettings::resolve(server)?;
    let rotation = Rotation::resolve(rotation)?;
    if tables.is_empty() {
        return Err(Problem::NoProvider.at(root));
    }
    let common = CommonSettings { sources, rotation, events: Events::new() };
    let mut providers: Vec<ProviderSettings> = Vec::with_capacity(tables.len());
    for (index, table) in tables.into_iter().enumerate() {
        let at = root.field("provider").index(index);
        if providers.iter().any(|provider| provider.name() == table.name) {
            let name = shown(&table.name).into_owned();
            return Err(Problem::DuplicateProvider { name }.at(at.field("name")));
        }
        providers.push(provider(table, &common, &at)?);
    }
    let names: Vec<_> = providers.iter().map(ProviderSettings::name).collect();
    let chain = ChainSettings::resolve(chain, &names)?;
    let CommonSettings { rotation: Rotation { affinity_header, .. }, events, .. } = common;
    let warnings = sources.warnings.take();
    Ok(Config { listen, token, chain, server, affinity_header, events, providers, warnings })
}

fn provider(
    table: ProviderTable,
    common: &CommonSettings<'_>,
    at: &Steps,
) -> Result<ProviderSettings, ConfigError> {
    let ProviderTable { name, dialect, base_url, keys_env, selection, learn_accounts, models, limit, key } =
        table;
    if !is_name(&name) {
        return Err(Problem::Name.at(at.field("name")));
    }
    if let Some(name) = RESERVED.into_iter().find(|reserved| *reserved == name) {
        return Err(Problem::ReservedName { name }.at(at.field("name")));
    }
    let profile = profile(&name, dialect.as_deref()).map_err(|problem| problem.at(at.field("dialect")))?;
    let in_url = |reason| Problem::Url { reason }.at(at.field("base_url"));
    let (base_url, origin) = base_url::base_url(&base_url).map_err(in_url)?;
    if let Some(host) = base_url::exposed_host(&base_url) {
        let risk = Risk::ClearText { host: shown(host).into_owned() };
        common.sources.warn(Warning::new(at.field("base_url"), risk));
    }
    for (from, to) in &models {
        if [from, to].into_iter().any(|name| name.is_empty() || has_unprintable(name)) {
            return Err(Problem::Model.at(at.field("models").field(from)));
        }
    }
    // The file sets the base URL of this provider, so its keys go there and nowhere else.
    let provider = profile.with_origin(origin);
    let of_keys = key.iter().flat_map(|key| &key.limit);
    let limits_models = limit.iter().chain(of_keys).any(|limit| limit.model.is_some());
    let (found, searched) = keys(&provider, keys_env.as_deref(), key, common.sources, at)?;
    if found.iter().any(|found| shows(base_url.path(), found.key.secret().expose())) {
        return Err(in_url("its path has one of the provider's keys in it"));
    }
    let pool = common.pool(provider, selection.as_deref(), learn_accounts, at)?;
    let pool = limits(pool, limit, &found, at)?.keys(found.into_iter().map(|found| found.key)).build();
    let pool = pool.map_err(|error| match error {
        BuildError::NoKeys { .. } => Problem::NoKeys { searched }.at(at.clone()),
        other => Problem::Pool(other).at(at.clone()),
    })?;
    Ok(ProviderSettings { name, base_url, models, limits_models, pool })
}

impl CommonSettings<'_> {
    /// Starts a pool without keys, with the settings for all providers and for this one.
    fn pool(
        &self,
        provider: Provider,
        selection: Option<&str>,
        learn_accounts: Option<bool>,
        at: &Steps,
    ) -> Result<KeyPoolBuilder, ConfigError> {
        let selection = self.rotation.selection(selection, &at.field("selection"))?;
        let mut pool = KeyPool::builder(provider).selection(selection).events(&self.events);
        if let Some(learn) = learn_accounts {
            pool = pool.learn_accounts(learn);
        }
        if let Some(shares) = &self.rotation.warn_at {
            pool = pool.warn_at(shares.iter().copied());
        }
        Ok(pool)
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(allowed) && name.bytes().any(|byte| byte != b'.')
}

fn profile(name: &str, dialect: Option<&str>) -> Result<Provider, Problem> {
    match dialect {
        Some(COMPATIBLE) => Ok(Provider::compatible(name.to_owned())),
        Some(dialect) => Provider::preset(dialect).ok_or(Problem::UnknownDialect),
        None => Provider::preset(name).ok_or(Problem::MissingDialect),
    }
    .map(|provider| provider.with_name(name.to_owned()))
}

// === keys ===

/// A key, its name in errors, and its place in the file.
struct Found {
    key: ApiKey,
    name: String,
    at: Steps,
}

/// Returns the keys of a provider, and the variables that were searched.
fn keys(
    provider: &Provider,
    prefix: Option<&str>,
    tables: Vec<KeyTable>,
    sources: &Sources,
    at: &Steps,
) -> Result<(Vec<Found>, Vec<String>), ConfigError> {
    let listed = tables.into_iter().enumerate();
    let listed = listed.map(|(index, table)| key(table, sources, at.field("key").index(index)));
    let listed = listed.collect::<Result<Vec<_>, _>>()?;
    if prefix.is_some_and(|prefix| !is_prefix(prefix)) {
        return Err(Problem::Prefix.at(at.field("keys_env")));
    }
    let discovery = prefix.map(|prefix| EnvKeys::with_prefixes([prefix], sources.vars.clone()));
    let discovery = discovery.unwrap_or_default();
    discovery.report(provider.name());
    let searched = discovery.searched().to_vec();
    let discovered = discovery.into_iter().map(|key| Found {
        name: key.label().unwrap_or_default().to_owned(),
        at: at.field("keys_env"),
        key,
    });
    let found: Vec<_> = discovered.chain(listed).collect();
    check_twins(&found)?;
    Ok((found, searched))
}

/// Returns whether a text can be a prefix of variable names and cannot be a key.
fn is_prefix(prefix: &str) -> bool {
    let is_name = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name && !prefix.is_empty() && (shown_variable(prefix) == prefix)
}

fn key(table: KeyTable, sources: &Sources, at: Steps) -> Result<Found, ConfigError> {
    let KeyTable { id, secret, account, tier, weight, limit } = table;
    if id.as_ref().is_some_and(String::is_empty) {
        return Err(Problem::Name.at(at.field("id")));
    }
    let tier = choice(tier.as_deref(), TIERS, &at.field("tier"))?;
    let text = secret.read(sources, &at.field("secret"))?;
    let mut key = ApiKey::from(text).tier(tier);
    let id = id.or_else(|| secret.name().map(str::to_owned));
    if let Some(id) = &id {
        key = key.id(id.as_str());
    }
    if let Some(account) = account {
        key = key.account(account);
    }
    key.check_names().map_err(|(what, why)| Problem::KeyName(why).at(at.field(what)))?;
    if let Some(weight) = weight {
        key = key.weight(weight);
    }
    for (index, table) in limit.iter().enumerate() {
        let at = at.field("limit").index(index);
        if table.account.is_some() {
            return Err(Problem::AccountOfKey.at(at.field("account")));
        }
        key = limit::quotas(table, &at)?.into_iter().fold(key, ApiKey::quota);
    }
    let name = id.map_or_else(|| at.to_string(), |id| shown_variable(&id).into_owned());
    Ok(Found { key, name, at })
}

/// Adds the declared limits of accounts to the pool.
fn limits(
    mut pool: KeyPoolBuilder,
    tables: Vec<LimitTable>,
    keys: &[Found],
    at: &Steps,
) -> Result<KeyPoolBuilder, ConfigError> {
    for (index, table) in tables.into_iter().enumerate() {
        let at = at.field("limit").index(index);
        let quotas = limit::quotas(&table, &at)?.into_iter();
        pool = match table.account {
            None => quotas.fold(pool, KeyPoolBuilder::quota),
            Some(name) => {
                let known: BTreeSet<_> =
                    keys.iter().filter_map(|found| found.key.declared_account()).collect();
                if !known.iter().any(|account| account.as_str() == name) {
                    let known =
                        known.into_iter().map(|account| shown(account.as_str()).into_owned()).collect();
                    let name = shown(&name).into_owned();
                    return Err(Problem::UnknownAccount { name, known }.at(at.field("account")));
                }
                quotas.fold(pool, |pool, quota| pool.account_quota(name.as_str(), quota))
            }
        };
    }
    Ok(pool)
}

/// Checks that no two keys have the same secret or the same name, and that no name is another key's secret.
fn check_twins(keys: &[Found]) -> Result<(), ConfigError> {
    let is_secret = |id: &str| keys.iter().any(|found| found.key.secret().expose() == id);
    if let Some(found) = keys.iter().find(|found| found.key.label().is_some_and(is_secret)) {
        return Err(Problem::KeyName(InvalidName::ShowsSecret).at(found.at.field("id")));
    }
    let mut secrets = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for Found { key, name, at } in keys {
        if let Some(first) = secrets.insert(key.secret().expose(), name) {
            let problem = Problem::DuplicateSecret { first: first.clone(), second: name.clone() };
            return Err(problem.at(at.field("secret")));
        }
        if let Some(id) = key.label().filter(|id| ids.insert(id.to_owned(), ()).is_some()) {
            return Err(Problem::DuplicateKey { id: shown_variable(id).into_owned() }.at(at.field("id")));
        }
    }
    Ok(())
}
