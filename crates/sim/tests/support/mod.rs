//! A client of simulated providers over sockets.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "the helpers belong to the tests")]

pub(crate) mod direct;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower_key_rotation_sim::{SimBuilder, SimServer, Simulator};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
pub(crate) const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

/// A provider over HTTP, and the key of its calls.
pub(crate) struct Provider {
    pub(crate) sim: Simulator,
    server: SimServer,
    key: String,
}

/// A response that has been read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) bytes: Bytes,
}

impl Provider {
    /// Serves a provider with the keys `a` and `b`, of accounts of their own. Calls use `a`.
    pub(crate) async fn new(builder: SimBuilder) -> Self {
        let sim = builder.key(("a", "key-a")).key(("b", "key-b")).build();
        Self { server: sim.serve().await.unwrap(), sim, key: "key-a".to_owned() }
    }

    pub(crate) async fn openai() -> Self {
        Self::new(Simulator::openai()).await
    }

    /// Uses another key from now on.
    pub(crate) fn with_key(&mut self, key: &str) {
        key.clone_into(&mut self.key);
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string().into()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "application/json", Bytes::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "application/json", Bytes::new()).await
    }

    /// Posts a form with text fields and a file.
    pub(crate) async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        name: &str,
        file: &[u8],
    ) -> Answer {
        let mut body = Vec::new();
        for (field, value) in fields {
            let head = format!("--XX\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
            body.extend(head.as_bytes());
        }
        let head = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(file);
        body.extend(b"\r\n--XX--\r\n");
        self.send(Method::POST, path, "multipart/form-data; boundary=XX", body.into()).await
    }

    /// Uploads a file in the two steps of Google's clients, and returns the last response.
    pub(crate) async fn resumable(&self, path: &str, file: &[u8]) -> Value {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let step = |uri: String, command: &str, body: Bytes| {
            let request = Request::post(uri).header("x-goog-api-key", &self.key);
            let request = request
                .header("x-goog-upload-command", command)
                .header("x-goog-upload-protocol", "resumable");
            client.request(
                request.header("x-goog-upload-header-content-type", "text/plain").body(body.into()).unwrap(),
            )
        };
        let describe = Bytes::from(r#"{"file":{"displayName":"foxes"}}"#);
        let begun = step(self.server.uri(path).to_string(), "start", describe).await.unwrap();
        let next = begun.headers()["x-goog-upload-url"].to_str().unwrap().to_owned();
        let ended = step(next, "upload, finalize", Bytes::copy_from_slice(file)).await.unwrap();
        assert_eq!(ended.headers()["x-goog-upload-status"], "final");
        serde_json::from_slice(&ended.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Answer {
        let (header, value) = if path.contains("/v1beta/") && !path.contains("/openai/") {
            ("x-goog-api-key", self.key.clone())
        } else {
            ("authorization", format!("Bearer {}", self.key))
        };
        let request = Request::builder().method(method).uri(self.server.uri(path)).header(header, value);
        let request = request.header("content-type", kind).header("anthropic-version", "2023-06-01");
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let response = client.request(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map(|it| it.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, kind: kind.unwrap_or_default(), bytes }
    }
}

impl Answer {
    /// Returns the body of a response with status 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// Returns the error of a response with this status.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let body: Value = serde_json::from_slice(&self.bytes).unwrap();
        body["error"].clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Returns the events of a stream.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text());
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|it| *it != "[DONE]");
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}
