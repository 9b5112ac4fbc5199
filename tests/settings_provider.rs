//! Every setting of a provider's profile, of a breaker and of the layer for responses changes the behaviour.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/settings.rs"]
mod settings;
mod support;

mod provider_builder {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{HeaderName, Request, Response};
    use http_body_util::Full;
    use tower::{BoxError, Layer, ServiceExt, service_fn};
    use tower_key_rotation::body::ReplayBody;
    use tower_key_rotation::classify::{Fault, Outcome, Reason, Scope, Verdict};
    use tower_key_rotation::key::EnvKeys;
    use tower_key_rotation::provider::{AuthScheme, Endpoint, Endpoints, ModelPath, ProviderBuilder, Rule};
    use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

    use super::settings;

    settings::settings!("ProviderBuilder":
        origin, auth, env_prefix, env_name, model_path, endpoints, errors_in_ok_bodies, answers_like, rule,
    );

    async fn origin() {
        assert!(!own().build().allows(&uri("https://llm.test/v1")));
        let two =
            own().origin("https://llm.test".parse().unwrap()).origin("https://eu.test".parse().unwrap());
        let provider = two.build();
        assert!(provider.allows(&uri("https://llm.test/v1")) && provider.allows(&uri("https://eu.test/v1")));
        assert!(!provider.allows(&uri("https://other.test/v1")));
    }

    async fn auth() {
        for (scheme, header, value) in [
            (None, "authorization", "Bearer sk-a"),
            (Some(AuthScheme::Header(HeaderName::from_static("x-api-key"))), "x-api-key", "sk-a"),
        ] {
            let provider = own().origin("https://llm.test".parse().unwrap());
            let provider = scheme.into_iter().fold(provider, ProviderBuilder::auth).build();
            let pool = KeyPool::builder(provider).key(ApiKey::new("sk-a").unwrap()).build().unwrap();
            let client = service_fn(move |request: Request<ReplayBody>| async move {
                assert_eq!(request.headers()[header], value);
                Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
            });
            let request = Request::get("https://llm.test/v1/models").body(Full::<Bytes>::default()).unwrap();
            KeyRotationLayer::new(pool).layer(client).oneshot(request).await.unwrap();
        }
    }

    async fn env_prefix() {
        let provider = own().env_prefix("RELAY").env_prefix("LEGACY").build();
        let vars = [("RELAY_API_KEY", "sk-a"), ("LEGACY_API_KEY", "sk-b"), ("OTHER_API_KEY", "sk-c")];
        assert_eq!(EnvKeys::in_vars(&provider, vars).keys().len(), 2);
    }

    async fn env_name() {
        let provider = own().env_name("RELAY_TOKEN").env_name("LEGACY_SECRET").build();
        let vars = [("RELAY_TOKEN", "sk-a"), ("LEGACY_SECRET_2", "sk-b"), ("OTHER", "sk-c")];
        assert_eq!(EnvKeys::in_vars(&provider, vars).keys().len(), 2);
        assert_eq!(EnvKeys::in_vars(&own().build(), vars).keys().len(), 0);
    }

    async fn model_path() {
        let path = uri("https://llm.test/v1/models/own-model:generate");
        assert_eq!(own().build().model_in_path(&path), None);
        let found = own().model_path(ModelPath::Google).build().model_in_path(&path);
        assert_eq!(found.unwrap().as_str(), "own-model");
    }

    async fn endpoints() {
        let served = own().build().endpoints();
        assert!(served.contains(Endpoint::Images) && !served.contains(Endpoint::Messages));
        let served = own().endpoints(Endpoints::COMMON.with(Endpoint::Messages)).build().endpoints();
        assert!(!served.contains(Endpoint::Images) && served.contains(Endpoint::Messages));
    }

    /// A custom classifier sees the body of a 200, and so does the provider's own.
    async fn errors_in_ok_bodies() {
        for (setting, like, calls) in [
            (None, "openai", 1),
            (None, "minimax", 2),
            (Some(true), "openai", 2),
            (Some(false), "minimax", 1),
        ] {
            let like = Provider::preset(like).unwrap();
            for order in [true, false] {
                let provider = if order { own().answers_like(&like) } else { own() };
                let provider = setting.into_iter().fold(provider, ProviderBuilder::errors_in_ok_bodies);
                let provider = if order { provider } else { provider.answers_like(&like) };
                let provider = provider.origin("https://llm.test".parse().unwrap()).build();
                let custom = service_fn(|outcome: Outcome| async move {
                    let spent = outcome.body().windows(4).any(|part| part == b"1001");
                    let fault = Fault::new(Reason::QuotaExceeded, Scope::Account);
                    Ok::<_, Infallible>(if spent { fault.into() } else { Verdict::Success })
                });
                let layer = KeyRotationLayer::with_classifier(two_keys(&provider), custom);
                assert_eq!(asked(layer, r#"{"code":1001}"#).await, calls, "{setting:?}, {order}");
                let layer = KeyRotationLayer::new(two_keys(&provider));
                let error = r#"{"error":{"type":"insufficient_quota","message":"spent"}}"#;
                assert_eq!(asked(layer, error).await, calls, "{setting:?}, {order}, by the provider's rules");
            }
        }
    }

    /// One code means money at one provider, and a limit per minute at another.
    async fn answers_like() {
        let refusal = r#"{"error":{"code":"insufficient_quota","message":"refused"}}"#;
        for (like, reason) in [("openai", Reason::QuotaExceeded), ("dashscope", Reason::RateLimited)] {
            let provider = own().answers_like(&Provider::preset(like).unwrap()).build();
            assert_eq!(reason_of(&provider, 429, refusal).await, Some(reason), "{like}");
        }
    }

    async fn rule() {
        let rule = Rule::builder().status(418).fault(Reason::Overloaded, Scope::Provider).build().unwrap();
        assert_eq!(reason_of(&own().build(), 418, "").await, None);
        assert_eq!(reason_of(&own().rule(rule).build(), 418, "").await, Some(Reason::Overloaded));
    }

    async fn reason_of(provider: &Provider, status: u16, body: &'static str) -> Option<Reason> {
        let (head, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
        let outcome = Outcome::response(head, Bytes::from(body), NOW);
        let verdict = provider.classifier().oneshot(outcome).await.unwrap();
        verdict.fault().map(Fault::reason)
    }

    const NOW: tower_key_rotation::clock::Timestamp =
        tower_key_rotation::clock::Timestamp::from_unix_ms(1_774_915_200_000);

    fn own() -> ProviderBuilder {
        Provider::builder("own")
    }

    fn uri(text: &str) -> http::Uri {
        text.parse().unwrap()
    }

    fn two_keys(provider: &Provider) -> KeyPool {
        let keys = ["a", "b"].map(|label| ApiKey::new(super::support::secret(label)).unwrap().id(label));
        KeyPool::builder(provider.clone()).keys(keys).build().unwrap()
    }

    /// Returns the number of calls if the first response is a 200 with this body.
    async fn asked<C>(layer: KeyRotationLayer<C>, first: &'static str) -> usize
    where
        C: tower_key_rotation::classify::Classify,
    {
        let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = calls.clone();
        let client = service_fn(move |_: Request<ReplayBody>| {
            let number = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let body = if number == 0 { first } else { r#"{"choices":[]}"# };
            async move { Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(body))) }
        });
        let request = Request::get("https://llm.test/v1/models").body(Full::<Bytes>::default()).unwrap();
        layer.layer(client).oneshot(request).await.unwrap();
        calls.load(std::sync::atomic::Ordering::Relaxed)
    }
}

mod breaker_policy {
    use std::time::Duration;

    use tokio::time::{Instant, advance};
    use tower::{Layer, ServiceBuilder};
    use tower_key_rotation::KeyRotationLayer;
    use tower_key_rotation::body::ResponseBody;
    use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallback, ProviderFallbackLayer, Route};
    use tower_key_rotation::rotate::KeyRotation;
    use tower_key_rotation_sim::{Script, SimBody, SimFault, Simulator};

    use super::settings;
    use super::support::{chat, key, pool, send, text};

    settings::settings!("BreakerPolicy": consecutive, share, open_for);

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(60 * 60);

    async fn consecutive() {
        for faults in [1, 3] {
            let policy = BreakerPolicy::new().consecutive(faults).open_for(HOUR, HOUR);
            assert_eq!(calls_of_a_hundred(policy, always(), Duration::ZERO).await, u64::from(faults));
        }
    }

    /// Every second call fails. Percentage and number of calls are not confused.
    async fn share() {
        let policy = BreakerPolicy::new().consecutive(1_000).open_for(HOUR, HOUR);
        let alternating = || Script::new().then(SimFault::status(503)).then_ok(1).cycled();
        let share = |percent, of_calls, seconds| policy.share(percent, of_calls, seconds * SECOND);
        for (policy, pause, calls) in [
            (share(40, 10, 30), Duration::ZERO, 10..=11),
            (share(40, 60, 30), Duration::ZERO, 60..=61),
            (share(60, 10, 30), Duration::ZERO, 100..=100),
            (share(40, 10, 5), SECOND, 100..=100),
            (share(40, 10, 60), SECOND, 10..=11),
        ] {
            let came = calls_of_a_hundred(policy, alternating(), pause).await;
            assert!(calls.contains(&came), "{policy:?}, a call each {pause:?}: {came} calls");
        }
    }

    async fn open_for() {
        let policy = BreakerPolicy::new().consecutive(1).open_for(2 * SECOND, 5 * SECOND);
        let (first, chain) = stage(policy, always());
        let began = Instant::now();
        let mut asked = Vec::new();
        for _ in 0..=20 {
            let before = first.calls();
            text(send(&chain, chat("m")).await.unwrap()).await;
            asked.extend(
                (first.calls() > before).then(|| Instant::now().saturating_duration_since(began).as_secs()),
            );
            advance(SECOND).await;
        }
        assert_eq!(asked, [0, 2, 6, 11, 16], "2 s, 4 s, then 5 s");
    }

    fn always() -> Script {
        Script::always(SimFault::status(503))
    }

    async fn calls_of_a_hundred(policy: BreakerPolicy, script: Script, pause: Duration) -> u64 {
        let (first, chain) = stage(policy, script);
        for _ in 0..100 {
            text(send(&chain, chat("m")).await.unwrap()).await;
            advance(pause).await;
        }
        first.calls()
    }

    type Chain = ProviderFallback<KeyRotation<Simulator>, ResponseBody<SimBody>>;

    fn stage(policy: BreakerPolicy, script: Script) -> (Simulator, Chain) {
        let sims =
            [script, Script::new()].map(|script| Simulator::openai().key(key("a")).script(script).build());
        let link = |sim: &Simulator| KeyRotationLayer::new(pool(&["a"])).layer(sim.clone());
        let layer = ProviderFallbackLayer::new("first").fallback("second", link(&sims[1]), Route::new());
        let chain = ServiceBuilder::new().layer(layer.breaker(policy)).service(link(&sims[0]));
        let [first, _] = sims;
        (first, chain)
    }
}

mod respond_layer {
    use tower::{Layer, ServiceExt};
    use tower_key_rotation::{KeyRotationLayer, RespondLayer};

    use super::settings;
    use super::support::{chat, key, openai, pool};

    settings::settings!("RespondLayer": pass_refusals);

    async fn pass_refusals() {
        for (pass, status) in [(false, 502), (true, 401)] {
            let service = KeyRotationLayer::new(pool(&["a"])).layer(openai([key("a").revoked()]));
            let service = RespondLayer::new().pass_refusals(pass).layer(service);
            assert_eq!(service.oneshot(chat("m")).await.unwrap().status(), status);
        }
    }
}
