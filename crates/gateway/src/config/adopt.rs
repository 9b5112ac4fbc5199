//! Taking over the pools of a configuration that another one follows.

use std::sync::Arc;

use tower_key_rotation::pool::{KeyChanges, ReloadError};

use crate::config::{Config, ProviderSettings, ServerSettings};

/// The parts of a configuration that the one before it had in the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Whether requests go to the same providers by the same rules, whatever their keys.
    pub(crate) destinations: bool,
}

/// Takes over the pools of the configuration before, and gives them the keys of this one. Keys that stay keep their
/// state. A provider with other settings than before keeps its new pool, which takes over the state of the keys.
///
/// Logs what has changed.
pub(crate) fn adopt(config: &mut Config, before: &Config) -> Kept {
    let mut destinations = config.chain_table == before.chain_table
        && config.providers.len() == before.providers.len()
        && config.first == before.first;
    for (index, provider) in config.providers.iter_mut().enumerate() {
        let known = before.provider(&provider.name);
        let is_kept = known.is_some_and(|known| take_pool(provider, known));
        if known.is_none() {
            tracing::info!(target: "gateway", provider = provider.name, "provider added");
        } else if let Some(known) = known.filter(|_| !is_kept) {
            take_state(provider, known);
        }
        destinations &= is_kept && before.providers.get(index).is_some_and(|it| is_routed_like(it, provider));
    }
    for gone in before.providers.iter().filter(|it| config.provider(&it.name).is_none()) {
        tracing::info!(target: "gateway", provider = gone.name, "provider removed");
    }
    warn_of_restart(config, before);
    Kept { destinations }
}

/// Takes over the pool of a provider, if only its keys have changed.
fn take_pool(provider: &mut ProviderSettings, before: &ProviderSettings) -> bool {
    if provider.pool_table != before.pool_table {
        return false;
    }
    match before.pool.reload(provider.keys.iter().cloned()) {
        Ok(changes) => report(&provider.name, &changes),
        Err(error) => {
            refused(&provider.name, &error);
            return false;
        }
    }
    provider.pool = before.pool.clone();
    provider.is_renewing = Arc::clone(&before.is_renewing);
    true
}

/// Takes over the state of the keys. If they are used at another address, or their responses mean something else, the
/// cooldowns of before may have no cause any more: the next request with such a key probes it.
fn take_state(provider: &ProviderSettings, before: &ProviderSettings) {
    if let Err(error) = provider.pool.merge(before.pool.export()) {
        tracing::error!(target: "gateway", provider = provider.name, %error, "the keys start clean");
        return;
    }
    let are_probed = !provider.pool_table.is_alike(&before.pool_table);
    if are_probed {
        provider.pool.probe_all();
    }
    tracing::info!(target: "gateway", provider = provider.name, are_probed, "settings changed: its keys keep their state");
}

fn report(provider: &str, changes: &KeyChanges) {
    if !changes.is_empty() {
        let KeyChanges { added, replaced, changed, removed, unchanged, .. } = changes;
        let [added, replaced, changed, removed] = [added, replaced, changed, removed].map(Vec::len);
        tracing::info!(
            target: "gateway", provider, added, replaced, changed, removed, unchanged, "keys reloaded"
        );
    }
}

fn refused(provider: &str, error: &ReloadError) {
    tracing::error!(target: "gateway", provider, %error, "the keys were not taken over");
}

/// Returns whether requests reach both providers in the same way.
fn is_routed_like(one: &ProviderSettings, other: &ProviderSettings) -> bool {
    one.name == other.name
        && one.cloud == other.cloud
        && one.models == other.models
        && one.endpoints == other.endpoints
        && one.limits_models == other.limits_models
}

/// Says which changes have no effect before the gateway is started again: those of its listener.
fn warn_of_restart(config: &Config, before: &Config) {
    let limits = |it: &ServerSettings| {
        let times = [it.head_timeout(), it.write_timeout(), it.shutdown_timeout()];
        let bodies = (it.max_body_memory(), it.max_body_disk());
        (times, it.max_connections(), it.max_requests(), bodies)
    };
    if config.listen != before.listen || limits(&config.server) != limits(&before.server) {
        tracing::warn!(
            target: "gateway",
            "`listen`, or a limit of the listener in `[server]`, has changed: restart the gateway to use it"
        );
    }
}
