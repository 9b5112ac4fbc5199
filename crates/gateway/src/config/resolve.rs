//! Conversion of a [`ConfigFile`] into a [`Config`]. The checks run from the top of the file to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use tower_key_rotation::fallback::{InvalidRoute, Route};

use crate::config::chain::ChainSettings;
use crate::config::check::CheckSettings;
use crate::config::cloud::Place;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::{ConfigFile, KeyTable, LimitTable, ProviderTable, RuleTable};
use crate::config::keys::Keys;
use crate::config::location::ValuePath;
use crate::config::redact::redacted;
use crate::config::rotation::Rotation;
use crate::config::secret::Sources;
use crate::config::server::ServerSettings;
use crate::config::settings::PoolTable;
use crate::config::status::StatusSettings;
use crate::config::store::StoreSettings;
use crate::config::text::is_printable;
use crate::config::warning::{Risk, Warning};
use crate::config::{Config, ProviderSettings, alert, base_url, caller, check, cors, endpoints, limit, rule};
use tower_key_rotation::cloud::Cloud;
use tower_key_rotation::event::Events;
use tower_key_rotation::pool::{KeyPool, KeyPoolBuilder};
use tower_key_rotation::provider::Provider;

/// Dialect of a provider that no preset covers. Its responses are classified by the rules that hold for every
/// provider.
const COMPATIBLE: &str = "compatible";

/// Provider names that would be hidden by other paths of a gateway.
const RESERVED: [&str; 11] =
    ["v1", "v1alpha", "v1beta", "upload", "download", "api", "health", "metrics", "ready", "status", "ws"];

/// Settings that all providers share.
struct CommonSettings<'a> {
    sources: &'a Sources,
    rotation: Rotation,
    events: Events,
}

pub(super) fn config(file: ConfigFile, sources: &Sources, events: Events) -> Result<Config, ConfigError> {
    let root = ValuePath::default();
    let ConfigFile {
        listen,
        token,
        state_file,
        redis,
        chain,
        rotation,
        server,
        cors,
        status,
        checks,
        alert,
        caller,
        provider: tables,
    } = file;
    let address =
        |text: String| text.trim().parse().map_err(|e| Problem::Address(e).at(root.field("listen")));
    let listen = listen.map(address).transpose()?;
    let token = token.map(|token| token.token(sources, &root.field("token"))).transpose()?;
    let stores = StoreSettings::resolve(state_file, redis, sources)?;
    let server = ServerSettings::resolve(server)?;
    let cors = cors::origins(cors, token.is_some())?;
    let mut rotation = Rotation::resolve(rotation)?;
    rotation.also_warn_at(alert.iter().filter_map(|alert| alert.quota));
    let alerts = alert::webhooks(alert, sources)?;
    let callers = caller::callers(caller, sources)?;
    let common = CommonSettings { sources, rotation, events };
    let providers = providers(tables, &common, &root)?;
    let names: Vec<_> = providers.iter().map(ProviderSettings::name).collect();
    let chain_table = chain.clone();
    let chain = ChainSettings::resolve(chain, &names)?;
    let status = StatusSettings::resolve(status, &names, sources)?;
    caller::check_tokens(&callers, [token.as_ref(), status.operator_token()])?;
    let checks = CheckSettings::resolve(checks)?;
    let first = names.iter().position(|name| chain.order().first().is_some_and(|it| it == name)).unwrap_or(0);
    let CommonSettings { rotation: Rotation { affinity_header, .. }, events, .. } = common;
    let warnings = sources.warnings.take();
    Ok(Config {
        listen,
        token,
        stores,
        chain,
        chain_table,
        server,
        status,
        checks,
        alerts,
        callers,
        cors,
        affinity_header,
        events,
        providers,
        first,
        warnings,
        files: sources.read.take(),
        known_sources: sources.found.take(),
    })
}

fn providers(
    tables: Vec<ProviderTable>,
    common: &CommonSettings<'_>,
    root: &ValuePath,
) -> Result<Vec<ProviderSettings>, ConfigError> {
    if tables.is_empty() {
        return Err(Problem::NoProvider.at(root.clone()));
    }
    let mut providers: Vec<ProviderSettings> = Vec::with_capacity(tables.len());
    for (index, table) in tables.into_iter().enumerate() {
        let at = root.field("provider").index(index);
        if providers.iter().any(|provider| provider.name() == table.name) {
            let name = redacted(&table.name).into_owned();
            return Err(Problem::DuplicateProvider { name }.at(at.field("name")));
        }
        providers.push(provider(table, common, &at)?);
    }
    Ok(providers)
}

fn provider(
    mut table: ProviderTable,
    common: &CommonSettings<'_>,
    at: &ValuePath,
) -> Result<ProviderSettings, ConfigError> {
    let Place { base_url, cloud, dialect } = Place::take(&mut table, at)?;
    let ProviderTable { name, keys_env, selection, learn_accounts, endpoints, models, limit, .. } = table;
    let (rule, key, check_path) = (table.rule, table.key, table.check);
    check_name(&name).map_err(|problem| problem.at(at.field("name")))?;
    let profile = profile(&name, dialect.as_deref()).map_err(|problem| problem.at(at.field("dialect")))?;
    let in_url = |reason| Problem::Url { reason }.at(at.field("base_url"));
    let (base_url, origin) = base_url::base_url(&base_url).map_err(in_url)?;
    warn_of_clear_text(&base_url, common.sources, &at.field("base_url"));
    check_models(&models, &at.field("models"))?;
    let route = route(&base_url, &models).map_err(|_| in_url("it can't be the beginning of a URL"))?;
    let own = cloud.as_ref().map_or_else(|| profile.endpoints(), Cloud::endpoints);
    let endpoints = endpoints::endpoints(endpoints.as_deref(), own, &at.field("endpoints"))?;
    let route = route.of_provider(&profile).endpoints(endpoints);
    let check_path = check::path(check_path, &at.field("check"))?;
    // The file sets the base URL of this provider, so its keys go there and nowhere else.
    let pool_table =
        common.pool_table(&(dialect, selection.clone(), learn_accounts), &base_url, &limit, &rule);
    let provider = rule::with_rules(profile.with_origin(origin), rule, at)?;
    let of_keys = key.iter().any(KeyTable::is_of_models);
    let limits_models = of_keys || limit.iter().any(|limit| limit.model.is_some());
    let keys = Keys::read(&provider, &base_url, keys_env.as_deref(), key, common.sources, at)?;
    if keys.appear_in(&name) {
        return Err(Problem::SecretInName.at(at.field("name")));
    }
    if keys.appear_in(base_url.path()) {
        return Err(in_url("its path contains one of the provider's keys"));
    }
    let pool = common.pool(provider, selection.as_deref(), learn_accounts, at)?;
    let pool = keys.build(limits(pool, limit, &keys, at)?, at)?;
    let keys = keys.list();
    let is_renewing = Arc::default();
    Ok(ProviderSettings {
        name,
        base_url,
        cloud,
        models,
        route,
        endpoints,
        limits_models,
        check_path,
        pool,
        keys,
        pool_table,
        is_renewing,
    })
}

fn warn_of_clear_text(base_url: &Uri, sources: &Sources, at: &ValuePath) {
    if let Some(host) = base_url::exposed_host(base_url) {
        let risk = Risk::ClearText { host: redacted(host).into_owned() };
        sources.warn(Warning::new(at.clone(), risk));
    }
}

fn check_models(models: &BTreeMap<String, String>, at: &ValuePath) -> Result<(), ConfigError> {
    let is_wrong = |name: &String| name.is_empty() || !is_printable(name);
    match models.iter().find(|(from, to)| is_wrong(from) || is_wrong(to)) {
        Some((from, _)) => Err(Problem::Model.at(at.field(from))),
        None => Ok(()),
    }
}

impl CommonSettings<'_> {
    /// Returns the settings of a pool as they are in the file, without its keys.
    fn pool_table(
        &self,
        (dialect, selection, learn_accounts): &(Option<String>, Option<String>, Option<bool>),
        base_url: &Uri,
        limit: &[LimitTable],
        rule: &[RuleTable],
    ) -> PoolTable {
        PoolTable {
            dialect: dialect.clone(),
            base_url: base_url.clone(),
            selection: selection.clone(),
            learn_accounts: *learn_accounts,
            common: self.rotation.of_pools(),
            limit: limit.to_vec(),
            rule: rule.to_vec(),
        }
    }

    /// Starts a pool without keys, with the settings for all providers and for this one.
    fn pool(
        &self,
        provider: Provider,
        selection: Option<&str>,
        learn_accounts: Option<bool>,
        at: &ValuePath,
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

fn route(base_url: &Uri, models: &BTreeMap<String, String>) -> Result<Route, InvalidRoute> {
    let renamed = |route: Route, (caller, own): (&String, &String)| match caller.as_str() {
        ProviderSettings::ANY_MODEL => route.any_model(own.as_str()),
        caller => route.model(caller, own.as_str()),
    };
    Ok(models.iter().fold(Route::to(&base_url.to_string())?, renamed))
}

/// Checks that a name can be a part of a path, and is that of no other path of the gateway.
fn check_name(name: &str) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(allowed) || name.bytes().all(|byte| byte == b'.') {
        return Err(Problem::Name);
    }
    let reserved = RESERVED.into_iter().find(|reserved| *reserved == name);
    reserved.map_or(Ok(()), |name| Err(Problem::ReservedName { name }))
}

fn profile(name: &str, dialect: Option<&str>) -> Result<Provider, Problem> {
    match dialect {
        Some(COMPATIBLE) => Ok(Provider::compatible(name.to_owned())),
        Some(dialect) => Provider::preset(dialect).ok_or(Problem::UnknownDialect),
        None => Provider::preset(name).ok_or(Problem::MissingDialect),
    }
    .map(|provider| provider.with_name(name.to_owned()))
}

/// Adds the declared limits of accounts to the pool.
fn limits(
    mut pool: KeyPoolBuilder,
    tables: Vec<LimitTable>,
    keys: &Keys,
    at: &ValuePath,
) -> Result<KeyPoolBuilder, ConfigError> {
    for (index, table) in tables.into_iter().enumerate() {
        let at = at.field("limit").index(index);
        let quotas = limit::quotas(&table, &at)?.into_iter();
        pool = match table.account {
            None => quotas.fold(pool, KeyPoolBuilder::quota),
            Some(name) => {
                if !keys.have_account(&name) {
                    let known = keys.accounts().map(|account| redacted(account).into_owned()).collect();
                    let name = redacted(&name).into_owned();
                    return Err(Problem::UnknownAccount { name, known }.at(at.field("account")));
                }
                quotas.fold(pool, |pool, quota| pool.account_quota(name.as_str(), quota))
            }
        };
    }
    Ok(pool)
}
