//! Requests that are too large for the memory of the gateway are sent from unnamed files, byte for byte.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request as AxumRequest;
use futures_util::{StreamExt, future, stream};
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use support::stub::{Stub, reply};
use support::{Gateway, header, post, text};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Child;

const MIB: usize = 1024 * 1024;

/// No large request is kept in memory.
const ON_DISK: &str = "[server]\nmax_body_memory = 0\n";

// === bytes ===

/// A chat of about `len` bytes with many escapes and another `model` inside, and the model at its beginning or its end.
fn chat(len: usize, model: &str, is_last: bool) -> String {
    let part = r#"a\"b\\ \u00e4 {\"model\":\"no\"} 0123456789 "#;
    let content = part.repeat(len / part.len() + 1);
    let messages =
        format!(r#""messages":[{{"role":"user","model":"inner","content":"{content}"}}],"x":[1e3,null]"#);
    let model = format!(r#""model":"{model}""#);
    if is_last { format!("{{{messages},{model}}}") } else { format!("{{{model},{messages}}}") }
}

fn form(len: usize, model: &str) -> String {
    let file = "sound \r\n--b ".repeat(len / 12 + 1);
    format!(
        "--bound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{file}\r\n--bound\r\n\
         Content-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--bound--\r\n"
    )
}

#[tokio::test]
async fn a_request_on_disk_is_rotated_renamed_and_falls_over() {
    let stub = Stub::start().await;
    let tables =
        stub.providers(&[("openai", &["limited-1", "limited-2"]), ("gemini", &["invalid-1", "fine-1"])]);
    let renamed = "name = \"gemini\"\nmodels = { \"gpt-4o\" = \"gemini-2.5-pro\" }\n";
    let tables = format!("{ON_DISK}{}", tables.replace("name = \"gemini\"\n", renamed));
    for (len, is_last) in [(1024, true), (300_000, false), (300_000, true), (3 * MIB, true), (30 * MIB, true)]
    {
        let gateway = Gateway::at(&tables).await;
        let response = gateway.send(post("/v1/chat/completions", chat(len, "gpt-4o", is_last).into())).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "x-served-by")),
            (200, "gemini/k1"),
            "{len}"
        );
        let calls = stub.calls();
        for (call, key) in calls.iter().zip(["limited-1", "limited-2", "invalid-1", "fine-1"]) {
            let model = if key.starts_with("limited") { "gpt-4o" } else { "gemini-2.5-pro" };
            assert_eq!(call.key, key);
            assert!(call.body == chat(len, model, is_last), "{len} bytes with {key}");
            assert_eq!(call.headers[CONTENT_LENGTH], call.body.len().to_string());
        }
        assert_eq!(calls.len(), 4);
    }
}

#[tokio::test]
async fn a_form_on_disk_is_renamed() {
    let stub = Stub::start().await;
    let tables = stub.providers(&[("openai", &["limited-1", "fine-1"])]);
    let renamed = "name = \"openai\"\nmodels = { \"whisper\" = \"gpt-4o-transcribe\" }\n";
    let gateway = Gateway::at(&format!("{ON_DISK}{}", tables.replace("name = \"openai\"\n", renamed))).await;
    let request = Request::post("/v1/audio/transcriptions")
        .header("content-type", "multipart/form-data; boundary=bound")
        .body(Body::from(form(2 * MIB, "whisper")));
    let response = gateway.send(request.unwrap()).await;
    assert_eq!(response.status(), 200);
    let calls = stub.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.body == form(2 * MIB, "gpt-4o-transcribe")));
}

#[tokio::test]
async fn a_limit_sees_the_model_of_a_request_on_disk() {
    let stub = Stub::start().await;
    let limit = "[[provider.limit]]\nmodel = \"gpt-4o\"\nrequests_per_minute = 1\n";
    let gateway =
        Gateway::at(&format!("{ON_DISK}{}{limit}", stub.providers(&[("openai", &["fine-1"])]))).await;
    for (model, status) in [("gpt-4o", 200), ("gpt-4o", 429), ("gpt-5", 200)] {
        let response = gateway.send(post("/v1/chat/completions", chat(3 * MIB, model, true).into())).await;
        assert_eq!(response.status(), status, "{model}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_kept_on_disk_too() {
    let stub = Stub::start().await;
    let gateway =
        Gateway::at(&format!("{ON_DISK}{}", stub.providers(&[("openai", &["limited-1", "fine-1"])]))).await;
    let whole = chat(3 * MIB, "gpt-4o", true);
    let pieces: Vec<_> =
        whole.as_bytes().chunks(50_000).map(|it| Ok::<_, String>(Bytes::copy_from_slice(it))).collect();
    let response = gateway.send(post("/v1/chat/completions", Body::from_stream(stream::iter(pieces)))).await;
    assert_eq!(response.status(), 200);
    assert!(stub.calls().iter().all(|call| call.body == whole));
}

// === room ===

#[tokio::test]
async fn a_request_without_room_is_refused_clearly() {
    let stub = Stub::start().await;
    let limits = "[server]\nmax_body_memory = 0\nmax_body_disk = 1_000_000\n";
    let gateway = Gateway::at(&format!("{limits}{}", stub.providers(&[("openai", &["fine-1"])]))).await;
    let response = gateway.send(post("/v1/chat/completions", chat(2_000_000, "m", false).into())).await;
    assert_eq!((response.status().as_u16(), header(&response, "x-should-retry")), (413, "false"));
    assert!(text(response).await.contains("max_body_disk"));

    // Another request takes the room, as long as its body arrives.
    let slow = async {
        // Refused while one of the others has the room.
        while gateway.send(stalled(700_000, 900_000)).await.status() == StatusCode::SERVICE_UNAVAILABLE {}
    };
    let other = async {
        let fits = || post("/v1/chat/completions", chat(600_000, "m", false).into());
        loop {
            let response = gateway.send(fits()).await;
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                assert_eq!(header(&response, "retry-after"), "1");
                assert!(text(response).await.contains("no_room_for_body"));
                break;
            }
        }
    };
    tokio::select! {
        () = slow => panic!("its body does not end"),
        () = other => {}
    }
    while gateway.send(post("/v1/chat/completions", chat(600_000, "m", false).into())).await.status() != 200 {
    }
}

/// A request whose body stops after some of the bytes that it declares.
fn stalled(sent: usize, declared: usize) -> Request<Body> {
    let begun = stream::once(future::ready(Ok::<_, String>(Bytes::from(vec![b' '; sent]))));
    let mut request = post("/v1/chat/completions", Body::from_stream(begun.chain(stream::pending())));
    request.headers_mut().insert(CONTENT_LENGTH, declared.into());
    request
}

#[tokio::test]
async fn slow_uploads_take_room_for_what_has_arrived() {
    let stub = Stub::start().await;
    // Room for two whole bodies, whose files may be closed after their responses; not for the declared lengths.
    let limits = "[server]\nmax_body_memory = 0\nmax_body_disk = 8_388_608\n";
    let gateway = Gateway::at(&format!("{limits}{}", stub.providers(&[("openai", &["fine-1"])]))).await;
    let uploads = future::join_all((0..4).map(|_| gateway.send(stalled(150_000, 3 * MIB))));
    let other = async {
        for _ in 0..2 {
            let response = gateway.send(post("/v1/chat/completions", chat(3 * MIB, "m", false).into())).await;
            assert_eq!(response.status(), 200);
        }
    };
    tokio::select! {
        _ = uploads => panic!("their bodies do not end"),
        () = other => {}
    }
}

#[tokio::test]
async fn an_id_far_behind_in_a_request_leads_home() {
    for limits in ["", ON_DISK] {
        let stub = Stub::with(|call| match call.path.as_str() {
            "/v1/files" => reply(200, &json!({"id": format!("file-0123456789{}", &call.key[..1])})),
            _ => reply(200, &json!({"id": "resp_0123456789", "output": []})),
        })
        .await;
        let gateway =
            Gateway::at(&format!("{limits}{}", stub.providers(&[("openai", &["a-1", "b-1"])]))).await;
        for _ in 0..2 {
            assert_eq!(gateway.send(post("/v1/files", "{}".into())).await.status(), 200);
        }
        let pad = "x".repeat(3 * MIB);
        for number in 0..6 {
            let key = if number % 3 == 0 { "a" } else { "b" };
            let body = json!({"model": "m", "input": [pad, {"file_id": format!("file-0123456789{key}")}]});
            stub.calls();
            let response = gateway.send(post("/v1/responses", body.to_string().into())).await;
            assert_eq!(response.status(), 200);
            assert_eq!(stub.calls()[0].key, format!("{key}-1"), "{limits}");
        }
    }
}

// === the program ===

/// The gateway as a process, killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

// === impl Process ===

impl Process {
    async fn start(name: &str, config: &str, directory: &str) -> Self {
        let file = folder().join(format!("{name}.toml"));
        fs::write(&file, config).unwrap();
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_key-rotation-gateway"))
            .args(["--listen", "127.0.0.1:0", "--max-request", "67108864", "--config"])
            .arg(file)
            .env("TMPDIR", directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = stdout.next_line().await.unwrap().expect("the gateway starts");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse().unwrap();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = stdout.next_line().await {} });
        Self { child, address }
    }

    /// Sends a body, and returns the status of the response.
    async fn send(&self, body: Bytes) -> StatusCode {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{}/v1/chat/completions", self.address);
        let request = Request::post(uri).header("content-type", "application/json").body(Body::from(body));
        client.request(request.unwrap()).await.unwrap().status()
    }

    /// Returns the largest resident memory so far, in MiB.
    fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap() / 1024
    }
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gateway-spool-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A provider that compares each body with the expected one, without keeping it. It refuses the key `limited`.
async fn comparing(expected: Bytes) -> (SocketAddr, Arc<AtomicUsize>) {
    let sound = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&sound);
    let router = Router::new().fallback(move |request: AxumRequest| async move {
        let is_limited = request.headers()["authorization"].to_str().unwrap().contains("limited");
        let (mut body, mut rest) = (request.into_body(), &expected[..]);
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap();
            rest = rest.strip_prefix(&data[..]).expect("the bytes are those of the caller");
        }
        assert!(rest.is_empty());
        count.fetch_add(1, Ordering::Relaxed);
        if is_limited { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    (address, sound)
}

/// Sends `callers` bodies of `len` MiB at once, twice, to a gateway that may keep 32 MiB of them in memory. Returns its
/// peak of resident memory.
async fn peak_of(callers: usize, len: usize) -> usize {
    let (provider, sound) = comparing(chat(len * MIB - 256, "own", true).into()).await;
    let config = format!(
        "[server]\nmax_body_memory = 33554432\n[[provider]]\nname = \"openai\"\nbase_url = \"http://{provider}/v1\"\n\
         models = {{ \"gpt-4o\" = \"own\" }}\n[[provider.key]]\nsecret = \"sk-limited-1\"\n[[provider.key]]\n\
         secret = \"sk-fine-1\"\n"
    );
    let directory = folder();
    let gateway = Process::start(&format!("{callers}-{len}"), &config, directory.to_str().unwrap()).await;
    let body = Bytes::from(chat(len * MIB - 256, "gpt-4o", true));
    let statuses = future::join_all((0..callers).map(|_| gateway.send(body.clone()))).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert!(sound.load(Ordering::Relaxed) > callers, "the first key refuses one at least");
    let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(files.into_iter().all(|name| name.to_str().unwrap().ends_with(".toml")), "files have no name");
    gateway.peak()
}

/// The budget, what a gateway takes anyway (48 MiB for a debug build with its threads), and 2 MiB for each caller.
#[tokio::test]
async fn large_requests_stay_within_the_memory_of_the_gateway() {
    for (callers, len) in uploads() {
        let peak = peak_of(callers, len).await;
        println!("{callers} callers with {len} MiB: peak {peak} MiB");
        assert!(peak < 32 + 48 + 2 * callers, "{callers} callers with {len} MiB: peak {peak} MiB");
    }
}

/// The numbers of callers and of MiB. `LARGE_UPLOADS=1` measures more.
fn uploads() -> Vec<(usize, usize)> {
    match std::env::var_os("LARGE_UPLOADS") {
        None => vec![(8, 8), (1, 40)],
        Some(_) => vec![(8, 30), (32, 30), (8, 60), (32, 60)],
    }
}

#[tokio::test]
async fn a_missing_directory_fails_large_requests_only() {
    let (provider, _) = comparing(Bytes::from_static(b"{}")).await;
    let config = format!(
        "{ON_DISK}[[provider]]\nname = \"openai\"\nbase_url = \"http://{provider}/v1\"\n[[provider.key]]\n\
         secret = \"sk-fine-1\"\n"
    );
    let gateway = Process::start("missing", &config, "/nonexistent").await;
    assert_eq!(gateway.send(chat(MIB, "m", false).into()).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.send(Bytes::from_static(b"{}")).await, StatusCode::OK);
}
