//! Chromium, driven through chromedriver by the WebDriver protocol.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Maximum time until the page is as expected.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub(crate) struct Browser {
    driver: String,
    session: String,
    client: Client<HttpConnector, Body>,
    _process: Child,
}

/// Returns a browser. Without chromedriver the test is skipped, and fails if `REQUIRE_SERVICES` is 1.
pub(crate) async fn browser() -> Option<Browser> {
    let started =
        Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).kill_on_drop(true).spawn();
    match started {
        Ok(process) => Some(Browser::start(process).await),
        Err(error) => missing(&format!("chromedriver can't be started: {error}")),
    }
}

/// Skips a test, or fails it if `REQUIRE_SERVICES` is 1.
pub(crate) fn missing<T>(what: &str) -> Option<T> {
    assert!(std::env::var("REQUIRE_SERVICES").as_deref() != Ok("1"), "{what}");
    eprintln!("skipped: {what}");
    None
}

/// Returns the source of axe-core, from the file that `AXE` names or from `target/npm`.
pub(crate) fn axe() -> Option<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/npm/node_modules/axe-core/axe.min.js");
    let file = std::env::var_os("AXE").map_or(own, Into::into);
    std::fs::read_to_string(&file).ok().or_else(|| missing(&format!("no axe-core at {}", file.display())))
}

// === impl Browser ===

impl Browser {
    async fn start(mut process: Child) -> Self {
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver starts");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        let driver = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, session: String::new(), client, _process: process };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.send("POST", "/session", &wanted).await;
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let uri = format!("{}{}{path}", self.driver, self.session);
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(uri).body(body).unwrap();
        let response = self.client.request(request).await.unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice::<Value>(&bytes).unwrap()["value"].clone();
        assert!(value.get("error").is_none(), "{path}: {value}");
        value
    }

    pub(crate) async fn open(&self, url: &str) {
        self.send("POST", "/url", &json!({"url": url})).await;
    }

    /// Runs a function body in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.send("POST", "/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        // An element that is not there yet is no error.
        let script = format!("try {{ return !!({expression}) }} catch {{ return false }}");
        let waiting = async { while self.run(&script).await != true {} };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("{expression}: {}", self.run("return document.body.innerText").await);
        }
    }

    /// Clicks the element of a selector.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.send("POST", &format!("/element/{element}/click"), &json!({})).await;
    }

    /// Types into the element of a selector.
    pub(crate) async fn enter(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.send("POST", &format!("/element/{element}/value"), &json!({"text": text})).await;
    }

    async fn element(&self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.send("POST", "/element", &wanted).await;
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Sets the size of the page in pixels, and its colours: `light` or `dark`.
    pub(crate) async fn view(&self, (width, height): (u32, u32), scheme: &str) {
        let cdp = async |cmd: &str, params: Value| {
            self.send("POST", "/goog/cdp/execute", &json!({"cmd": cmd, "params": params})).await;
        };
        let size = json!({"width": width, "height": height, "deviceScaleFactor": if width < 600 { 2 } else { 1 }, "mobile": width < 600});
        cdp("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// Saves a picture of the page as a PNG in the folder that `SCREENSHOTS` names, if it is set.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        use base64::Engine;
        let taken = self.send("GET", "/screenshot", &Value::Null).await;
        let png = base64::engine::general_purpose::STANDARD.decode(taken.as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }

    /// Returns the errors and warnings of the page's console since the last call.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.send("POST", "/se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let serious = entries.filter(|it| ["SEVERE", "WARNING"].contains(&it["level"].as_str().unwrap()));
        serious.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the rules of accessibility that the page breaks, with the elements that break them.
    pub(crate) async fn broken_rules(&self, axe: &str) -> Vec<String> {
        self.run(axe).await;
        let script = "const done = arguments[0]; axe.run(document).then(it => done(it.violations.map(rule => \
                      rule.id + ': ' + rule.nodes.map(node => node.html.slice(0, 200)).slice(0, 3).join(' '))), \
                      error => done([String(error)]))";
        let broken = self.send("POST", "/execute/async", &json!({"script": script, "args": []})).await;
        broken.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn close(self) {
        self.send("DELETE", "", &Value::Null).await;
    }
}
