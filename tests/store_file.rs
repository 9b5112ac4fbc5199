//! The file store: restarts, crashes, damaged files, full disks.

#![cfg(feature = "file-store")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tower_key_rotation::event::{EventKind, Events};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::store::{FileStore, FileStoreError};
use tower_key_rotation::{ApiKey, KeyPool, Provider};

use support::{MARKER, secret};

/// A directory of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tkr-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

fn pool(provider: Provider, events: &Events) -> KeyPool {
    let keys = ["a", "b"].map(|label| ApiKey::new(secret(label)).unwrap().id(label));
    let quota = Quota::requests(1_000_000).per_day();
    KeyPool::builder(provider).keys(keys).quota(quota).events(events).build().unwrap()
}

fn openai() -> KeyPool {
    pool(Provider::openai(), &Events::new())
}

fn opened(path: &Path, pool: &KeyPool) -> FileStore {
    let mut store = FileStore::open(path).unwrap();
    store.add(pool);
    store
}

fn used(pool: &KeyPool) -> [u64; 2] {
    [0, 1].map(|key| 1_000_000 - pool.snapshot().keys[key].limits[0].remaining)
}

#[tokio::test(start_paused = true)]
async fn state_survives_a_restart_for_each_provider() {
    let place = Place::new("restart");
    let (one, two) = (openai(), pool(Provider::gemini(), &Events::new()));
    let mut store = opened(&place.file(), &one);
    store.add(&two);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let saving = tokio::spawn(store.run(async { drop(stopped.await) }));
    one.disable(&"a".into()).unwrap();
    two.cool_down(&"b".into(), None, Duration::from_secs(600)).unwrap();
    drop(stop);
    saving.await.unwrap().unwrap();
    let text = fs::read_to_string(place.file()).unwrap();
    assert!(!text.contains(MARKER), "{text}");
    // Only one of the providers is used in between.
    let again = openai();
    opened(&place.file(), &again).save().unwrap();
    assert_eq!(again.snapshot().keys[0].state, KeyState::Disabled);
    let other = pool(Provider::gemini(), &Events::new());
    let _store = opened(&place.file(), &other);
    assert_eq!(other.snapshot().keys[1].state, KeyState::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn changes_are_written_within_a_second_and_nothing_else_is() {
    let place = Place::new("debounce");
    let pool = openai();
    let saving = tokio::spawn(opened(&place.file(), &pool).run_forever());
    let written = async |content: &[u8]| {
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if fs::read(place.file()).unwrap_or_default() != content {
                return fs::read(place.file()).unwrap();
            }
        }
        content.to_vec()
    };
    let first = written(b"").await;
    fs::remove_file(place.file()).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!place.file().exists(), "nothing has changed");
    pool.acquire(()).unwrap().succeed();
    assert_ne!(written(b"").await, first);
    saving.abort();
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("private");
    // A file that a crash has left, with the permissions of another time.
    fs::write(place.0.join("state.json.new"), "").unwrap();
    opened(&place.file(), &openai()).save().unwrap();
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn a_device_is_no_state_file() {
    let place = Place::new("device");
    std::os::unix::fs::symlink("/dev/zero", place.file()).unwrap();
    let error = FileStore::open(place.file()).unwrap_err();
    assert!(matches!(error, FileStoreError::Read { .. }), "{error}");
    FileStore::open("").unwrap_err();
    assert!(!Path::new("/dev/zero.json.lock").exists() && !Path::new("/dev/zero.lock").exists());
}

#[tokio::test(start_paused = true)]
async fn a_second_writer_is_refused() {
    let place = Place::new("lock");
    let pool = openai();
    let store = opened(&place.file(), &pool);
    let error = FileStore::open(place.file()).unwrap_err();
    assert!(matches!(error, FileStoreError::InUse { .. }) && error.to_string().contains("state.json"));
    drop(store);
    drop(FileStore::open(place.file()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_file_with_wrong_content_is_moved_aside_and_told() {
    let place = Place::new("damaged");
    for (number, content) in [
        "".as_bytes(),
        b"{",
        b"\0\0\0\0",
        b"{\"pools\":[{\"version\":2,\"provider\":\"openai\"}]}",
        b"{\"pools\":[{\"version\":1,\"provider\":\"openai\",\"records\":[{\"kind\":\"cooldown\"}]}]}",
        b"[]",
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(place.file(), content).unwrap();
        let events = Events::new();
        let mut heard = events.subscribe();
        let pool = pool(Provider::openai(), &events);
        let mut store = opened(&place.file(), &pool);
        let aside = store.set_aside().unwrap().to_owned();
        assert!(aside.to_string_lossy().ends_with(&format!("damaged-{}", number + 1)), "{aside:?}");
        assert_eq!(fs::read(&aside).unwrap(), content);
        let event = heard.next().await.unwrap().unwrap();
        assert!(
            matches!(&event.kind, EventKind::StoreFailed { store: "file", reason, .. } if reason.contains("damaged-")),
            "{event:?}"
        );
        assert_eq!(pool.usable(None), 2);
        store.save().unwrap();
        drop(store);
        assert!(opened(&place.file(), &openai()).set_aside().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_an_event_and_requests_go_on() {
    let place = Place::new("full");
    let events = Events::new();
    let mut heard = events.subscribe();
    let pool = pool(Provider::openai(), &events);
    let saving = tokio::spawn(opened(&place.file(), &pool).run_forever());
    // A directory in the place of the new file can't be replaced, whoever the process is.
    fs::create_dir(place.0.join("state.json.new")).unwrap();
    let mut next = async || loop {
        let event = heard.next().await.unwrap().unwrap();
        if let EventKind::StoreFailed { .. } | EventKind::StoreRecovered { .. } = event.kind {
            return event.kind;
        }
    };
    assert!(matches!(next().await, EventKind::StoreFailed { store: "file", .. }));
    pool.acquire(()).unwrap().succeed();
    fs::remove_dir(place.0.join("state.json.new")).unwrap();
    assert!(matches!(next().await, EventKind::StoreRecovered { store: "file", .. }));
    saving.abort();
    let again = openai();
    let _ended = saving.await;
    let _store = opened(&place.file(), &again);
    assert_eq!(used(&again).iter().sum::<u64>(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_once_whatever_becomes_of_the_pool() {
    let place = Place::new("replaced");
    let events = Events::new();
    let mut heard = events.subscribe();
    let (old, gone) = (pool(Provider::openai(), &events), pool(Provider::anthropic(), &events));
    let mut store = opened(&place.file(), &old);
    store.add(&gone);
    let pools = store.pools();
    fs::create_dir(place.0.join("state.json.new")).unwrap();
    let saving = tokio::spawn(store.run_forever());
    let mut next = async || loop {
        let event = heard.next().await.unwrap().unwrap();
        if let EventKind::StoreFailed { .. } | EventKind::StoreRecovered { .. } = event.kind {
            return (event.provider.to_string(), matches!(event.kind, EventKind::StoreFailed { .. }));
        }
    };
    let said = [next().await, next().await];
    assert_eq!(said, [("openai".to_owned(), true), ("anthropic".to_owned(), true)]);
    // Another pool takes the place of the first one, and the second one is removed.
    pools.set([pool(Provider::openai(), &events)]);
    assert_eq!(next().await, ("anthropic".to_owned(), false));
    fs::remove_dir(place.0.join("state.json.new")).unwrap();
    assert_eq!(next().await, ("openai".to_owned(), false));
    saving.abort();
}

/// Returns the metrics of the store as of now: up, failures since the last look, and Unix time of the last success.
#[cfg(feature = "metrics")]
fn measured(
    recorder: &metrics_util::debugging::DebuggingRecorder,
    pool: &KeyPool,
) -> (Option<f64>, u64, Option<f64>) {
    use metrics_util::debugging::DebugValue;
    pool.record_metrics();
    let (mut up, mut failures, mut last) = (None, 0, None);
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|it| (it.key(), it.value())).collect();
        match (key.key().name().strip_prefix("tower_key_rotation_store_"), value) {
            (None, _) => continue,
            (Some("up"), DebugValue::Gauge(value)) => up = Some(*value),
            (Some("failures_total"), DebugValue::Counter(value)) => failures = value,
            (Some("last_success_timestamp_seconds"), DebugValue::Gauge(value)) => last = Some(*value),
            (name, value) => panic!("{name:?} {value:?}"),
        }
        assert_eq!(labels, [("provider", "openai"), ("store", "file")]);
    }
    (up, failures, last)
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn metrics_show_a_store_that_fails_since_its_start() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let place = Place::new("measured");
    let pool = pool(Provider::openai(), &Events::new());
    assert_eq!(measured(&recorder, &pool), (None, 0, None), "a pool without a store");
    let store = opened(&place.file(), &pool).every(Duration::from_millis(1));
    fs::create_dir(place.0.join("state.json.new")).unwrap();
    let began = unix_seconds();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let saving = tokio::spawn(store.run(async { drop(stopped.await) }));
    let until = async |wanted: &dyn Fn((Option<f64>, u64, Option<f64>)) -> bool| loop {
        let now = measured(&recorder, &pool);
        if wanted(now) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    // It failed before anyone looked, and goes on to.
    let mut failures = 0;
    until(&|(up, new, last)| {
        assert_eq!(last, None);
        up == Some(0.0) && new > 1
    })
    .await;
    failures += until(&|(_, new, _)| new > 0).await.1;
    fs::remove_dir(place.0.join("state.json.new")).unwrap();
    let (_, _, last) = until(&|(up, _, _)| up == Some(1.0)).await;
    assert!(failures > 0 && last.is_some_and(|last| (began..=unix_seconds()).contains(&last)), "{last:?}");
    let later = until(&|now| now.2 > last).await;
    assert_eq!((later.0, later.1), (Some(1.0), 0));
    drop(stop);
    saving.await.unwrap().unwrap();
    let (up, failures, last) = measured(&recorder, &pool);
    assert!(up.unwrap().is_nan() && failures == 0 && last.unwrap().is_nan(), "{up:?} {last:?}");
}

#[cfg(feature = "metrics")]
fn unix_seconds() -> f64 {
    tower_key_rotation::clock::Timestamp::now().as_unix_ms() as f64 / 1_000.0
}

/// The writer of the next test, in a process of its own. Uses both keys once, saves, and says so.
#[test]
fn child_that_writes() {
    let Some(path) = std::env::var_os("TKR_STATE_FILE") else { return };
    let pool = openai();
    let mut store = opened(Path::new(&path), &pool);
    let mut out = std::io::stdout();
    loop {
        (0..2).for_each(|_| pool.acquire(()).unwrap().succeed());
        store.save().unwrap();
        writeln!(out, "saved {}", used(&pool)[0]).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_state_that_was_true() {
    let place = Place::new("kill");
    let mut seed = 7_u64;
    let mut least = 0;
    for round in 0..200 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes", "--nocapture"])
            .env("TKR_STATE_FILE", place.file())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let saved = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut saved = saved.filter_map(|line| line.split_once("saved ")?.1.parse::<u64>().ok());
        for _ in 0..seed >> 61 {
            least = saved.next().unwrap_or(least).max(least);
        }
        // A moment within the next write, of a length that differs from round to round.
        for turn in 0..seed >> 40 & 0x3_ffff {
            std::hint::black_box(turn);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        least = saved.last().unwrap_or(least).max(least);
        let pool = openai();
        let store = opened(&place.file(), &pool);
        assert!(store.set_aside().is_none(), "round {round}");
        let [one, other] = used(&pool);
        assert!(
            one == other && (least..=least + 1).contains(&one),
            "round {round}: {one} {other}, {least} saved"
        );
        least = one;
    }
    assert!(least > 200, "{least}");
}
