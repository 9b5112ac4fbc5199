//! Promises of a pool in random states: a usable key is given at once, the wait that an error states is enough, and no
//! account has more requests in flight than declared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{Exhausted, KeyPoolBuilder, Lease, Selection};
use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};

/// The declaration of a pool.
#[derive(Clone, Debug)]
struct Declared {
    keys: usize,
    keys_per_account: usize,
    concurrent: Option<u32>,
    per_day: Option<u64>,
    per_minute: Option<u64>,
    selection: Selection,
    /// Whether the last key is a backup, and whether it may serve one model only.
    last: (bool, bool),
}

#[derive(Clone, Debug)]
enum Step {
    Acquire { model: Option<usize>, waits: bool },
    Succeed(usize),
    Leave(usize),
    Fail { lease: usize, reason: Reason, scope: Scope, wait_ms: Option<u64> },
    Advance { ms: u64 },
    Verb { verb: usize, key: usize },
}

const MODELS: [&str; 3] = ["small-1", "small-2", "large"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(30);

fn declared() -> impl Strategy<Value = Declared> {
    let quotas = (prop::option::of(1..4_u32), prop::option::of(1..13_u64), prop::option::of(1..21_u64));
    let selection = prop::sample::select(&Selection::ALL[..]);
    (1..7_usize, 1..3_usize, quotas, selection, any::<(bool, bool)>()).prop_map(
        |(keys, keys_per_account, (concurrent, per_day, per_minute), selection, last)| Declared {
            keys,
            keys_per_account,
            concurrent,
            per_day,
            per_minute,
            selection,
            last,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    use Reason::{Forbidden, InvalidKey, Overloaded, QuotaExceeded, RateLimited, ServerError, Timeout};
    let reasons = [RateLimited, QuotaExceeded, InvalidKey, Forbidden, Overloaded, ServerError, Timeout];
    let scopes = [Scope::Key, Scope::KeyModel, Scope::Account, Scope::AccountModel, Scope::Provider];
    let fault = (prop::sample::select(reasons.to_vec()), prop::sample::select(scopes.to_vec()));
    let fault = (0..9_usize, fault, prop::option::of(0..20_000_u64));
    prop_oneof![
        6 => (prop::option::of(0..3_usize), any::<bool>()).prop_map(|(model, waits)| Step::Acquire { model, waits }),
        2 => (0..9_usize).prop_map(Step::Succeed),
        1 => (0..9_usize).prop_map(Step::Leave),
        2 => fault.prop_map(|(lease, (reason, scope), wait_ms)| Step::Fail { lease, reason, scope, wait_ms }),
        1 => (0..5_000_u64).prop_map(|ms| Step::Advance { ms }),
        1 => (0..5_usize, 0..6_usize).prop_map(|(verb, key)| Step::Verb { verb, key }),
    ]
}

// === impl Declared ===

impl Declared {
    fn build(&self) -> KeyPool {
        let keys = (0..self.keys).map(|number| {
            let account = format!("account-{}", number / self.keys_per_account);
            let key = ApiKey::new(format!("sk-{number}")).unwrap().id(id(number)).account(account);
            match self.last {
                _ if number + 1 < self.keys => key,
                (is_backup, is_small) => {
                    let key = if is_backup { key.backup() } else { key };
                    if is_small { key.only_models(["small*"]) } else { key }
                }
            }
        });
        let quotas = [
            self.concurrent.map(Quota::concurrent),
            self.per_day.map(|requests| Quota::requests(requests).per_day()),
            self.per_minute.map(|requests| Quota::requests(requests).per_minute()),
        ];
        let builder = KeyPool::builder(Provider::openai()).selection(self.selection).keys(keys);
        quotas.into_iter().flatten().fold(builder, KeyPoolBuilder::quota).build().unwrap()
    }
}

fn id(number: usize) -> String {
    format!("key-{number}")
}

/// Acquires a key, and checks what the pool promises.
async fn acquire(
    pool: &KeyPool,
    held: &[(Lease, Option<ModelId>)],
    model: Option<&ModelId>,
    waits: bool,
) -> Result<Option<Lease>, TestCaseError> {
    let usable = pool.usable(model);
    let given = match waits {
        true => pool.acquire_by(model, Instant::now() + PATIENCE).now_or_never(),
        false => Some(pool.acquire(model)),
    };
    match given {
        Some(Ok(lease)) => Ok(Some(lease)),
        Some(Err(exhausted)) => {
            prop_assert_eq!(usable, 0, "{}", exhausted);
            let hint = exhausted.retry_after().filter(|wait| held.is_empty() && *wait <= DAY);
            if let Some(wait) = hint {
                advance(wait + Duration::from_millis(1)).await;
                let later: Result<(), Exhausted> = pool.acquire(model).map(drop);
                prop_assert_eq!(later, Ok(()), "after {:?}", wait);
            }
            Ok(None)
        }
        None => {
            prop_assert_eq!(usable, 0, "it waits");
            Ok(None)
        }
    }
}

async fn take(
    step: Step,
    pool: &KeyPool,
    held: &mut Vec<(Lease, Option<ModelId>)>,
    declared: &Declared,
) -> Result<(), TestCaseError> {
    match step {
        Step::Acquire { model, waits } => {
            let model = model.map(|number| ModelId::from(MODELS[number]));
            if let Some(lease) = acquire(pool, held, model.as_ref(), waits).await? {
                let account = lease.account().cloned();
                held.push((lease, model));
                let of_account = held.iter().filter(|(lease, _)| lease.account() == account.as_ref()).count();
                let most = declared.concurrent.map_or(usize::MAX, |most| most as usize);
                prop_assert!(of_account <= most, "{} of {:?}", of_account, account);
            }
        }
        Step::Succeed(number) if number < held.len() => held.swap_remove(number).0.succeed(),
        Step::Leave(number) if number < held.len() => drop(held.swap_remove(number)),
        Step::Fail { lease, reason, scope, wait_ms } if lease < held.len() => {
            let (lease, model) = held.swap_remove(lease);
            let fault = Fault::new(reason, scope).with_retry_after(wait_ms.map(Duration::from_millis));
            drop(lease.fail(&fault, model.as_ref()));
        }
        Step::Advance { ms } => advance(Duration::from_millis(ms)).await,
        Step::Verb { verb, key } if key < declared.keys => {
            let key = id(key).into();
            match verb {
                0 => pool.disable(&key).unwrap(),
                1 | 2 => pool.enable(&key).unwrap(),
                3 => pool.reset(&key).unwrap(),
                _ => pool.cool_down(&key, None, Duration::from_secs(2)).unwrap(),
            }
        }
        Step::Succeed(_) | Step::Leave(_) | Step::Fail { .. } | Step::Verb { .. } => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_keeps_its_promises(
        declared in declared(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (pool, mut held) = (declared.build(), Vec::new());
            for step in steps {
                take(step, &pool, &mut held, &declared).await?;
            }
            drop(held);
            pool.reset_all();
            (0..declared.keys).for_each(|key| pool.enable(&id(key).into()).unwrap());
            (0..declared.keys).for_each(|key| pool.reset(&id(key).into()).unwrap());
            prop_assert_eq!(pool.usable(Some(&MODELS[0].into())), declared.keys);
            Ok(())
        })?;
    }
}
