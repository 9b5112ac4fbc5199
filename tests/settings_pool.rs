//! Every setting of a pool and of its cooldowns changes the keys that it selects.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/settings.rs"]
mod settings;
#[path = "support/pool.rs"]
mod support;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::event::{EventKind, Events};
use tower_key_rotation::key::EnvKeys;
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{Cooldowns, KeyPool, Lease, Selection};
use tower_key_rotation::provider::Provider;

use self::support::*;

mod pool_builder {
    use super::*;

    settings::settings!("KeyPoolBuilder":
        key, keys, keys_from_env, keys_from, selection, cooldowns, learn_accounts, max_models, quota,
        account_quota, warn_at, events, restore,
    );

    async fn key() {
        let pool = builder().key(super::key("a")).key(super::key("b")).build().unwrap();
        assert_eq!([next(&pool), next(&pool)], ["a", "b"]);
    }

    async fn keys() {
        let pool = builder().keys(["a", "b"].map(super::key)).build().unwrap();
        assert_eq!([next(&pool), next(&pool)], ["a", "b"]);
    }

    /// The process has no such environment variable. `keys_from` tests the variables themselves.
    async fn keys_from_env() {
        let provider = Provider::builder("nowhere").env_prefix("TKR_TEST_UNSET").build();
        let error = KeyPool::builder(provider).keys_from_env().build().unwrap_err().to_string();
        assert!(error.contains("TKR_TEST_UNSET_API_KEY"), "{error}");
        let with_a_key = builder().keys_from_env().key(super::key("a")).build().unwrap();
        assert!(with_a_key.snapshot().keys.iter().any(|key| key.id.as_str() == "a"));
    }

    async fn keys_from() {
        let found = EnvKeys::in_vars(&Provider::openai(), [("OPENAI_API_KEYS", "sk-one,sk-two")]);
        assert_eq!(builder().keys_from(found).build().unwrap().snapshot().keys.len(), 2);
    }

    async fn selection() {
        for (selection, second) in [(Selection::RoundRobin, "b"), (Selection::InOrder, "a")] {
            let pool = builder().keys(["a", "b"].map(super::key)).selection(selection).build().unwrap();
            assert_eq!([next(&pool), next(&pool)], ["a", second]);
        }
    }

    async fn cooldowns() {
        let cooldowns = Cooldowns::default().fixed(9 * MINUTE);
        let pool = builder().key(super::key("a")).cooldowns(cooldowns).build().unwrap();
        fail(&pool, "a", &limit(SECOND));
        assert_eq!(wait(&pool), Some(9 * MINUTE));
    }

    async fn learn_accounts() {
        let names = [("openai-organization", "acme"), ("openai-project", "proj")];
        let pairs = names.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(pairs);
        for (learn, usable) in [(true, false), (false, true)] {
            let pool = builder().keys(["a", "b"].map(super::key)).learn_accounts(learn).build().unwrap();
            for name in ["a", "b"] {
                let mut lease = lease_of(&pool, name, None);
                lease.observe(StatusCode::OK, &headers, None);
                lease.succeed();
            }
            fail(&pool, "a", &Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE));
            assert_eq!(pool.acquire(None).is_ok(), usable, "{learn}");
        }
    }

    async fn max_models() {
        for (models, remembered) in [(2, 2), (3, 3)] {
            let pool = builder().key(super::key("a")).max_models(models).build().unwrap();
            for name in ["one", "two", "three"] {
                let model = model(name);
                let fault = Fault::new(Reason::RateLimited, Scope::KeyModel).with_retry_after(MINUTE);
                pool.acquire(Some(&model)).unwrap().fail(&fault, Some(&model));
            }
            assert_eq!(shown(&pool, "a").models.len(), remembered);
        }
    }

    async fn quota() {
        let pool = builder().keys(["a", "b"].map(super::key)).quota(Quota::requests(2).per_day());
        assert_eq!(leases(&pool.build().unwrap()), 4, "for each account");
    }

    async fn account_quota() {
        let keys = [super::key("a").account("small"), super::key("b").account("large")];
        let pool = builder().keys(keys).quota(Quota::requests(3).per_day());
        let pool = pool.account_quota("small", Quota::requests(1).per_day()).build().unwrap();
        assert_eq!(leases(&pool), 1 + 3);
    }

    async fn warn_at() {
        for (shares, warnings) in [(vec![], 0), (vec![0.5], 1), (vec![0.25, 0.5, 0.75], 3)] {
            let pool = builder().key(super::key("a")).quota(Quota::requests(20).per_day());
            let pool = pool.warn_at(shares).build().unwrap();
            let mut heard = pool.subscribe();
            leases(&pool);
            let said = std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(Result::unwrap);
            let of_quotas = said.filter(|event| matches!(event.kind, EventKind::QuotaWarning { .. }));
            assert_eq!(of_quotas.count(), warnings);
        }
    }

    async fn restore() {
        let before = builder().key(super::key("a")).key(super::key("b")).build().unwrap();
        before.disable(&"a".into()).unwrap();
        let pool =
            builder().key(super::key("a")).key(super::key("b")).restore(before.export()).build().unwrap();
        assert_eq!([next(&pool), next(&pool)], ["b", "b"]);
    }

    async fn events() {
        let hub = Events::default();
        let mut heard = hub.subscribe();
        let pool = builder().key(super::key("a")).events(&hub).build().unwrap();
        fail(&pool, "a", &limit(MINUTE));
        let event = heard.next().now_or_never().flatten().expect("an event").unwrap();
        assert!(matches!(event.kind, EventKind::CooledDown { .. }), "{event:?}");
    }

    /// Returns the number of leases that the pool admits.
    fn leases(pool: &KeyPool) -> usize {
        std::iter::from_fn(|| pool.acquire(None).ok()).take(100).map(Lease::succeed).count()
    }
}

mod cooldowns {
    use std::time::Duration;

    use tower_key_rotation::pool::Backoff;

    use super::*;

    settings::settings!("Cooldowns": rate, quota, forbidden, rate_clamp, quota_clamp, fixed, ramp);

    async fn rate() {
        let cooldowns = Cooldowns::default().rate(Backoff::new(3 * SECOND, 5 * SECOND));
        assert_between(first(cooldowns, Reason::RateLimited, None), 3 * SECOND);
        let pool = of(cooldowns);
        for seconds in [3, 5, 5] {
            fail(&pool, "a", &unhinted());
            let wait = wait(&pool).unwrap();
            assert_between(wait, seconds * SECOND);
            tokio::time::advance(wait).await;
        }
    }

    async fn quota() {
        let cooldowns = Cooldowns::default().quota(Backoff::new(7 * SECOND, MINUTE));
        assert_between(first(cooldowns, Reason::QuotaExceeded, None), 7 * SECOND);
    }

    async fn forbidden() {
        let cooldowns = Cooldowns::default().forbidden(Backoff::new(11 * SECOND, MINUTE));
        assert_between(first(cooldowns, Reason::Forbidden, None), 11 * SECOND);
    }

    async fn rate_clamp() {
        let cooldowns = Cooldowns::default().rate_clamp(5 * SECOND);
        assert_eq!(first(cooldowns, Reason::RateLimited, Some(MINUTE)), 5 * SECOND);
        assert_eq!(first(Cooldowns::default(), Reason::RateLimited, Some(MINUTE)), MINUTE);
    }

    async fn quota_clamp() {
        let cooldowns = Cooldowns::default().quota_clamp(9 * SECOND);
        assert_eq!(first(cooldowns, Reason::QuotaExceeded, Some(HOUR)), 9 * SECOND);
        assert_eq!(first(Cooldowns::default(), Reason::QuotaExceeded, Some(HOUR)), HOUR);
    }

    async fn fixed() {
        let cooldowns = Cooldowns::default().fixed(2 * SECOND);
        for reason in [Reason::RateLimited, Reason::QuotaExceeded] {
            assert_eq!(first(cooldowns, reason, Some(MINUTE)), 2 * SECOND);
            assert_eq!(first(cooldowns, reason, None), 2 * SECOND);
        }
    }

    /// After a cooldown and its probe, two leases at a time are admitted at first.
    async fn ramp() {
        for (ramp, at_once) in [(64, 2), (0, 50)] {
            let pool = of(Cooldowns::default().ramp(ramp));
            fail(&pool, "a", &limit(MINUTE));
            tokio::time::advance(MINUTE).await;
            lease(&pool).succeed();
            let leases: Vec<_> = std::iter::from_fn(|| pool.acquire(None).ok()).take(50).collect();
            assert_eq!(leases.len(), at_once, "{ramp}");
        }
    }

    fn of(cooldowns: Cooldowns) -> KeyPool {
        builder().key(key("a")).cooldowns(cooldowns).build().unwrap()
    }

    fn first(cooldowns: Cooldowns, reason: Reason, hint: Option<Duration>) -> Duration {
        let pool = of(cooldowns);
        fail(&pool, "a", &Fault::new(reason, Scope::Key).with_retry_after(hint));
        wait(&pool).unwrap()
    }

    fn assert_between(wait: Duration, least: Duration) {
        assert!(
            (least..=least * 5 / 4 + Duration::from_millis(1)).contains(&wait),
            "{wait:?}, not {least:?}"
        );
    }
}
