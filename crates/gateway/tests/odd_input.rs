//! The commands with files, variables and addresses that are not what they should be: each says what is wrong, and shows
//! no secret.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "sk-tkrmarkerSECRET1234567890abcdef";

/// A folder of one test.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gateway-odd-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Runs the program, and returns whether it succeeded and all that it said.
fn run(arguments: &[&str], vars: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_key-rotation-gateway"));
    command.env_clear().envs(vars.iter().copied()).args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("tkrmarker") && !said.contains("panicked"), "{arguments:?}: {said}");
    (output.status.success(), said)
}

/// A configuration with one key.
fn valid() -> String {
    format!(
        "[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\n\
         [[provider.key]]\nid = \"a\"\nsecret = \"{SECRET}\"\n"
    )
}

#[test]
fn a_file_may_come_from_another_system() {
    let place = Place::new("systems");
    let marked = [b"\xef\xbb\xbf".as_slice(), valid().as_bytes()].concat();
    let json = concat!(
        "\u{feff}",
        r#"{"provider":[{"name":"openai","base_url":"http://127.0.0.1:9/v1","key":[{"id":"a","secret":"sk-0123456789"}]}]}"#
    );
    for file in [
        place.file("crlf.toml", valid().replace('\n', "\r\n")),
        place.file("bom.toml", marked),
        place.file("bom.json", json),
    ] {
        let (is_ok, said) = run(&["check", "--config", &file], &[]);
        assert!(is_ok && said.contains("key a"), "{file}: {said}");
    }
}

#[test]
fn a_wrong_file_is_told_with_its_place() {
    let place = Place::new("files");
    let with = |more: &str| format!("{}{more}", valid());
    let utf16: Vec<_> = valid().encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::create_dir(place.0.join("folder.toml")).unwrap();
    for (name, content, message) in [
        ("empty.toml", b"".to_vec(), "no provider: add a [[provider]] table"),
        (
            "utf16.toml",
            [vec![0xff, 0xfe], utf16].concat(),
            "the file is no text in UTF-8: save it in that encoding",
        ),
        ("zero.toml", b"a\0b".to_vec(), ":1:"),
        ("yaml.yaml", b"provider:\n".to_vec(), "YAML is not read"),
        ("twice.toml", with("id = \"b\"\n").into(), ":7:1: duplicate key"),
        ("twice.json", b"{\"provider\": [], \"provider\": []}".to_vec(), "duplicate field `provider`"),
        ("comma.json", format!("{{\"token\": \"{SECRET}\",}}").into(), "trailing comma"),
        ("cut.json", format!("{{\"token\": \"{SECRET}").into(), "EOF while parsing a string"),
        ("quotes.toml", format!("token = {SECRET}\n").into(), ":1:9: string values must be quoted"),
        ("open.toml", format!("token = \"{SECRET}\n").into(), ":1:"),
        ("number.toml", format!("listen = 8787\n{}", valid()).into(), "expected a text: put it in quotes"),
        ("unknown.toml", with("sekret = 1\n").into(), ":7:1: unknown field `sekret`, expected one of `id`"),
        ("name.toml", with(&format!("\"{SECRET}\" = 1\n")).into(), ":7:1: unknown field, expected one of"),
        (
            "id.toml",
            valid().replace("\"a\"", &format!("\"{SECRET}\"")).into(),
            "it shows the key, or a part of it",
        ),
        (
            "prefix.toml",
            format!("[[provider]]\nname = \"openai\"\nbase_url = \"https://h\"\nkeys_env = \"{SECRET}\"")
                .into(),
            "keys_env",
        ),
        ("url.toml", valid().replace("api.", &format!("{SECRET}@api.")).into(), "a user name or a password"),
    ] {
        let (is_ok, said) = run(&["check", "--config", &place.file(name, content)], &[]);
        assert!(!is_ok && said.contains(name) && said.contains(message), "{said}");
    }
    for name in ["folder.toml", "missing.toml"] {
        let (is_ok, said) = run(&["check", "--config", place.0.join(name).to_str().unwrap()], &[]);
        assert!(!is_ok && said.contains(name) && said.contains("can't be read\n  because: "), "{said}");
    }
}

#[test]
fn init_says_what_is_wrong_with_variables() {
    let quoted = format!("\"{SECRET}\"");
    let init = |vars: &[(&str, &str)]| run(&["init", "--output", "-"], vars);
    let (is_ok, said) = init(&[("OPENAI_API_KEY", &quoted)]);
    assert!(!is_ok && said.contains("OPENAI_API_KEY") && said.contains("quot"), "{said}");
    let (is_ok, said) = init(&[("OPENAI_API_KEY", SECRET), ("AZURE_OPENAI_API_KEY", "0123456789abcdef")]);
    assert!(is_ok && said.contains("AZURE_OPENAI_API_KEY is left out: set AZURE_OPENAI_ENDPOINT"), "{said}");
    for name in ["a.json", "a.yaml", "a"] {
        let (is_ok, said) = run(&["init", "--output", name], &[("OPENAI_API_KEY", SECRET)]);
        assert!(!is_ok && said.contains("ends in .toml") && !Path::new(name).exists(), "{said}");
    }
}

#[test]
fn init_writes_clouds_as_clouds() {
    let place = Place::new("clouds");
    let vars = [
        ("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-0123456789"),
        ("AWS_REGION", "eu-central-1"),
        ("VERTEX_API_KEY", "ya29.0123456789"),
        ("GOOGLE_CLOUD_PROJECT", "my-project"),
        ("AZURE_OPENAI_API_KEY", "0123456789abcdef"),
        ("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/"),
    ];
    let (is_ok, text) = run(&["init", "--output", "-"], &vars);
    assert!(is_ok, "{text}");
    for lines in [
        "cloud = \"bedrock\"\nregion = \"eu-central-1\"\n",
        "cloud = \"vertex\"\nproject = \"my-project\"\nlocation = \"global\"\n",
        "cloud = \"azure\"\nbase_url = \"https://mine.openai.azure.com\"\n",
    ] {
        assert!(text.contains(lines), "{lines}: {text}");
    }
    let file = place.0.join("clouds.toml");
    assert!(run(&["init", "--output", file.to_str().unwrap()], &vars).0);
    let (is_ok, said) = run(&["check", "--config", file.to_str().unwrap()], &vars);
    let base = "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global";
    assert!(is_ok && said.contains(base), "{said}");
}

#[tokio::test]
async fn status_tells_addresses_that_are_no_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _head = stream.read(&mut head).await;
            let response = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, message) in [
        (format!("http://{at}"), "the response is none of a gateway"),
        (format!("http://{free}"), "can't be reached: Connection refused"),
        (format!("http://{SECRET}@{free}"), "has a user name or a password"),
        (format!("http://u:{SECRET}@{free}"), "has a user name or a password"),
        (format!("http://{free}/?key={SECRET}"), "is like http://127.0.0.1:8787"),
        ("ftp://host".to_owned(), "is like http://127.0.0.1:8787"),
    ] {
        let ran = tokio::task::spawn_blocking(move || run(&["status", "--url", &url], &[])).await.unwrap();
        assert!(!ran.0 && ran.1.contains(message), "{message}: {}", ran.1);
    }
}

#[test]
fn explain_names_the_file_and_takes_a_mark() {
    let place = Place::new("explain");
    let explain = |file: &str| run(&["explain", "--provider", "openai", file], &[]);
    let (is_ok, said) = explain(place.0.to_str().unwrap());
    assert!(!is_ok && said.contains(place.0.to_str().unwrap()), "{said}");
    let (is_ok, said) = explain(&place.file("empty.jsonl", ""));
    assert!(!is_ok && said.contains("the input is empty"), "{said}");
    let (is_ok, said) = explain(&place.file("marked.jsonl", "\u{feff}{\"status\": 401}\r\n"));
    assert!(is_ok && said.contains("invalid_key"), "{said}");
}
