//! The services that send requests to providers.

use hyper::body::Incoming;
use tower::Layer;
use tower_key_rotation::KeyRotationLayer;
use tower_key_rotation::body::ResponseBody;
use tower_key_rotation::cloud::{CloudBody, CloudLayer, CloudService};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer};
use tower_key_rotation::rotate::KeyRotation;

use crate::client::HttpClient;
use crate::config::{ChainSettings, Config, ProviderSettings};

/// The client with the key rotation of one provider.
type Rotating = KeyRotation<CloudService<HttpClient>>;

/// A chain of providers behind one service.
pub(crate) type Chain = ProviderFallback<Rotating, RotatedBody>;

/// The body of a response of one provider.
type RotatedBody = ResponseBody<CloudBody<Incoming>>;

/// The body of a response of a chain.
pub(crate) type ChainBody = ResponseBody<RotatedBody>;

/// Returns the chain of the configuration.
pub(crate) fn chain(config: &Config, client: &HttpClient, cap: usize) -> Chain {
    let (first, others) = config.chain_providers();
    let layer = ProviderFallbackLayer::new(first.name()).route(first.route().clone()).events(config.events());
    let layer = others.fold(configured(layer, config.chain(), cap), |layer, provider| {
        layer.fallback(provider.name(), rotating(provider, client, cap), provider.route().clone())
    });
    layer.layer(rotating(first, client, cap))
}

/// Returns the chain of providers with one native API. Paths keep their versions. Like [`single`], it emits no events.
pub(crate) fn native(
    config: &Config,
    providers: &[&ProviderSettings],
    client: &HttpClient,
    cap: usize,
) -> Option<Chain> {
    let route = |it: &ProviderSettings| it.route().clone().native(it.pool().provider());
    let (first, others) = providers.split_first()?;
    let layer = ProviderFallbackLayer::new(first.name()).route(route(first));
    let layer = others.iter().fold(configured(layer, config.chain(), cap), |layer, provider| {
        layer.fallback(provider.name(), rotating(provider, client, cap), route(provider))
    });
    Some(layer.layer(rotating(first, client, cap)))
}

/// Returns a chain of one provider, for requests that already have the provider's URL. It emits no events: those of its
/// breaker could not be distinguished from those of the chain's breakers.
pub(crate) fn single(config: &Config, provider: &ProviderSettings, client: &HttpClient, cap: usize) -> Chain {
    let layer = configured(ProviderFallbackLayer::new(provider.name()), config.chain(), cap);
    layer.layer(rotating(provider, client, cap))
}

/// `cap` is the number of bytes of a request that can be sent again.
fn rotating(provider: &ProviderSettings, client: &HttpClient, cap: usize) -> Rotating {
    let records_tries = client.records_tries();
    let named = client.of(provider.name(), provider.pool().provider().company());
    let client = CloudLayer::new(provider.cloud().cloned()).layer(named);
    let layer = KeyRotationLayer::new(provider.pool().clone()).replay_cap(cap);
    layer.tell_key(records_tries).layer(client)
}

type Links = ProviderFallbackLayer<RotatedBody>;

/// Applies the `[chain]` table to a layer.
fn configured(layer: Links, chain: &ChainSettings, cap: usize) -> Links {
    let (least, longest) = chain.backoff();
    let layer = layer.start(chain.start()).commit(chain.commit()).context_length(chain.context_length());
    let layer = layer.replay_cap(cap).backoff(least, longest).breaker(chain.breaker());
    let layer = set(layer, chain.max_attempts(), |it, attempts| it.max_attempts(attempts.get() as usize));
    let layer = set(layer, chain.resend_ambiguous(), Links::resend_ambiguous);
    let layer = set(layer, chain.wait_for_key(), Links::wait_for_key);
    let layer = set(layer, chain.patience(), Links::patience);
    let layer = set(layer, chain.complete_cap(), |it, bytes| {
        it.complete_cap(usize::try_from(bytes.get()).unwrap_or(usize::MAX))
    });
    let layer = set(layer, chain.deadline(), Links::deadline);
    let layer = set(layer, chain.head_timeout(), Links::head_timeout);
    let layer = set(layer, chain.first_content_timeout(), Links::first_content_timeout);
    let layer = set(layer, chain.idle_timeout(), Links::idle_timeout);
    let of_models = chain.timeouts().iter();
    of_models.fold(layer, |layer, (models, timeouts)| layer.timeouts_for(models.as_str(), *timeouts))
}

fn set<T>(layer: Links, value: Option<T>, set: impl FnOnce(Links, T) -> Links) -> Links {
    match value {
        Some(value) => set(layer, value),
        None => layer,
    }
}
