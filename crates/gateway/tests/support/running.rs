//! A gateway whose configuration is loaded again while it runs.

use std::fs;
use std::path::PathBuf;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower_key_rotation_gateway::config::Loader;
use tower_key_rotation_gateway::{Gateway, GatewayBody, Options};
use tower_key_rotation_sim::{SimKey, SimServer, Simulator};

use crate::support::{chat, secret};

/// A gateway whose configuration is a file of the test.
pub(crate) struct Running {
    pub(crate) gateway: Gateway,
    pub(crate) loader: Loader,
    pub(crate) file: PathBuf,
    pub(crate) sim: Simulator,
    pub(crate) server: SimServer,
}

/// A `[[provider]]` table with the keys of these labels, each with the id before the first dash.
pub(crate) fn provider(origin: &str, keys: &[&str]) -> String {
    let key = |label: &&str| {
        let id = label.split('-').next().unwrap();
        format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"{}\"\n", secret(label))
    };
    let keys: String = keys.iter().map(key).collect();
    format!("[[provider]]\nname = \"openai\"\nbase_url = \"{origin}/v1\"\n{keys}")
}

impl Running {
    pub(crate) async fn start(test: &str, keys: &[&str]) -> Self {
        let sim =
            Simulator::openai().keys(["a", "b", "c", "a-2"].map(|it| SimKey::new(it, secret(it)))).build();
        let server = sim.serve().await.unwrap();
        let folder = std::env::temp_dir().join(format!("gateway-reload-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("gateway.toml");
        fs::write(&file, provider(&server.origin(), keys)).unwrap();
        let loader = Loader::new().vars([("PATH", "/bin")]);
        let gateway = Gateway::new(loader.load(&file).unwrap(), Options::new());
        Self { gateway, loader, file, sim, server }
    }

    /// Writes the file and loads it.
    pub(crate) fn load(&self, text: &str) -> Result<(), String> {
        fs::write(&self.file, text).unwrap();
        self.gateway.reload(&self.loader, &self.file).map_err(|error| error.to_string())
    }

    pub(crate) fn keys(&self, before: &str, keys: &[&str]) -> Result<(), String> {
        self.load(&format!("{before}\n{}", provider(&self.server.origin(), keys)))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<GatewayBody> {
        let (mut head, body) = request.into_parts();
        head.headers.insert("host", "localhost".parse().unwrap());
        self.gateway.handle(Request::from_parts(head, body), None).await
    }

    /// Sends a request that is served, and returns the key.
    pub(crate) async fn serve(&self) -> String {
        let response = self.send(chat("")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let key = response.headers()["x-served-by"].to_str().unwrap().to_owned();
        response.into_body().collect().await.unwrap();
        key
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.send(Request::get(path).body(Body::empty()).unwrap()).await;
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    /// Returns the ids of the keys, each with its number of calls.
    pub(crate) async fn calls(&self) -> Vec<(String, u64)> {
        let status = self.json("/api/key-status").await;
        let keys = status["providers"][0]["keys"].as_array().unwrap().clone();
        keys.iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it["calls"].as_u64().unwrap())).collect()
    }
}
