//! Keeps the state of a pool in a file: `cargo run --example checkpoint`. Run it twice: the second run knows that the
//! key is rate-limited.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use tower::BoxError;
use tower_key_rotation::store::FileStore;
use tower_key_rotation::{ApiKey, KeyPool, Provider};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let path = std::env::temp_dir().join("tower-key-rotation-checkpoint.json");
    let keys = [ApiKey::new("sk-one")?.id("one"), ApiKey::new("sk-two")?.id("two")];
    let pool = KeyPool::builder(Provider::openai()).keys(keys).build()?;

    let mut store = FileStore::open(&path)?;
    store.add(&pool);
    for key in pool.snapshot().keys {
        println!("{}: {}", key.id, key.state);
    }

    // A program spawns this for as long as it runs.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let saving = tokio::spawn(store.run(async { drop(stopped.await) }));
    pool.cool_down(&"one".into(), None, Duration::from_secs(60))?;
    println!("one: in a cooldown of one minute");

    drop(stop);
    saving.await??;
    println!("saved in {}", path.display());
    Ok(())
}
