//! The reference and the JSON schema of the configuration: complete, and true to what a loader accepts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tower_key_rotation_gateway::config::{Config, Format, Loader, json_schema, reference};

/// One key of the file: the names that lead to its table, its own name, and its schema.
struct Key {
    path: Vec<String>,
    name: String,
    schema: Value,
    is_required: bool,
    /// Whether the key does nothing but hold a table.
    holds_table: bool,
}

fn keys() -> Vec<Key> {
    let schema = json_schema();
    let mut keys = Vec::new();
    collect(&schema, &schema, &[], &mut keys);
    keys
}

fn collect(root: &Value, table: &Value, path: &[String], keys: &mut Vec<Key>) {
    let required = table["required"].as_array().cloned().unwrap_or_default();
    for (name, schema) in table["properties"].as_object().unwrap() {
        let inner = table_of(root, schema).or_else(|| table_of(root, &schema["items"]));
        keys.push(Key {
            path: path.to_vec(),
            name: name.clone(),
            schema: schema.clone(),
            is_required: required.iter().any(|it| it == name),
            holds_table: inner.is_some() && schema.get("x-example").is_none(),
        });
        if let Some(inner) = inner {
            collect(root, inner, &[path, std::slice::from_ref(name)].concat(), keys);
        }
    }
}

fn table_of<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    if let Some(name) = schema["$ref"].as_str() {
        return Some(&root["definitions"][name.rsplit('/').next()?]);
    }
    let alternatives = ["allOf", "anyOf"].into_iter().filter_map(|name| schema[name].as_array());
    alternatives.flatten().find_map(|schema| table_of(root, schema))
}

/// Returns the smallest table at a path that a loader accepts, or that it accepts with one more key.
fn smallest(table: &str, key: &str) -> Value {
    match table {
        "redis" => json!({"url": "redis://localhost"}),
        "chain.timeouts" => json!({"models": ["o*"]}),
        "alert" => json!({"url": "https://hooks.example.com/1"}),
        "caller" => json!({"name": "one", "token": "token-of-one"}),
        "provider" if key == "project" || key == "location" => {
            json!({"name": "vertex", "cloud": "vertex", "project": "one", "location": "global"})
        }
        "provider" if key == "region" => json!({"name": "bedrock", "cloud": "bedrock"}),
        "provider" if key == "api_version" => {
            json!({"name": "azure", "cloud": "azure", "base_url": "https://one.openai.azure.com"})
        }
        "provider" if key == "cloud" => json!({"name": "openai", "project": "one", "location": "global"}),
        "provider.key.secret.aws" => json!({"access_key_id": "AKIA1", "secret_access_key": "secret-1"}),
        "provider" => json!({"name": "openai", "base_url": "https://api.openai.com/v1"}),
        "provider.key" => json!({"secret": "sk-two"}),
        "provider.limit" | "provider.key.limit" if key == "reset" => json!({"requests_per_day": 1}),
        "provider.limit" | "provider.key.limit" => json!({"requests_per_minute": 1}),
        "provider.rule" if key == "verdict" => json!({"status": 402}),
        "provider.rule" if key == "until" || key == "wait" => {
            json!({"status": 402, "reason": "quota_exceeded"})
        }
        "provider.rule" => json!({"status": 402, "reason": "rate_limited"}),
        "provider.key.secret" if key == "every" => json!({"file": "keys/openai"}),
        "provider.key.secret.oauth2" => {
            json!({"token_url": "https://login.example.com", "client_id": "one", "client_secret": "secret-1"})
        }
        _ => json!({}),
    }
}

/// Returns a file with one key set, in the smallest tables around it.
fn file_with(key: &Key, value: &Value) -> Value {
    let mut inner = Map::from_iter([(key.name.clone(), value.clone())]);
    for depth in (0..=key.path.len()).rev() {
        let table = key.path[..depth].join(".");
        let inner_name = key.path.get(depth).unwrap_or(&key.name);
        let mut whole = smallest(&table, inner_name).as_object().cloned().unwrap();
        whole.extend(inner);
        let is_list = [
            "alert",
            "caller",
            "chain.timeouts",
            "provider",
            "provider.key",
            "provider.limit",
            "provider.rule",
        ];
        let is_list = is_list.contains(&&*table) || table == "provider.key.limit";
        let whole = if is_list { json!([whole]) } else { Value::Object(whole) };
        match depth.checked_sub(1) {
            Some(outer) => inner = Map::from_iter([(key.path[outer].clone(), whole)]),
            None => return with_provider(whole),
        }
    }
    unreachable!("the outermost table returns")
}

/// Adds what every file needs: a provider with a key, and the account that a limit may name.
fn with_provider(mut file: Value) -> Value {
    let mut provider = smallest("provider", "").as_object().cloned().unwrap();
    if let Some(own) = file["provider"].get(0).and_then(Value::as_object) {
        provider.extend(own.clone());
    }
    let keys = provider.entry("key").or_insert_with(|| json!([]));
    keys.as_array_mut().unwrap().push(json!({"secret": "sk-one", "account": "org-1"}));
    if provider["name"] != "openai" {
        provider.insert("dialect".into(), "compatible".into());
    }
    file["provider"] = json!([provider]);
    file
}

fn load(file: &Value) -> Result<Config, String> {
    let vars = [
        ("ALERT_SECRET", "secret-of-alerts"),
        ("CLIENT_ID", "client"),
        ("CLIENT_SECRET", "secret-of-client"),
        ("GATEWAY_TOKEN", "token-of-gateway"),
        ("OPENAI_API_KEY", "sk-three"),
        ("OPERATOR_TOKEN", "token-of-operator"),
        ("REDIS_URL", "redis://localhost:6379/0"),
        ("OPENAI_API_KEY_1", "sk-five"),
        ("OPENAI_API_KEY_2", "sk-six"),
        ("ANTHROPIC_API_KEY", "sk-ant-one"),
        ("AZURE_API_KEY", "azure-one"),
        ("AWS_ACCESS_KEY_ID", "AKIA1"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-aws"),
        ("AWS_SESSION_TOKEN", "token-of-session"),
        ("SEARCH_TOKEN", "token-of-search"),
        ("SLACK_WEBHOOK", "https://hooks.example.com/2"),
        ("TEAM_A_KEY", "sk-four"),
    ];
    Loader::new().vars(vars).parse(&file.to_string(), Format::Json).map_err(|error| error.to_string())
}

/// The page is made by `UPDATE_REFERENCE=1 cargo test -p tower-key-rotation-gateway --test config_reference`.
#[test]
fn the_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/configuration.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&page, reference()).unwrap();
    }
    // The page is in the repository, and not in the package of this crate.
    let Ok(text) = fs::read_to_string(page) else { return };
    assert!(text == reference(), "docs/guide/configuration.md is outdated: set UPDATE_REFERENCE=1");
}

#[test]
fn every_key_has_meaning_default_and_example() {
    for key in keys() {
        let (name, schema) = (format!("{}.{}", key.path.join("."), key.name), &key.schema);
        assert!(schema["description"].as_str().is_some_and(|it| it.ends_with('.')), "{name}: no meaning");
        if !key.holds_table {
            assert!(schema["examples"][0] != Value::Null, "{name}: no example in TOML");
            assert_ne!(key.is_required, schema["x-default"].is_string(), "{name}: required, or a default");
        }
    }
}

#[test]
fn a_loader_accepts_every_example_and_default() {
    for key in keys().iter().filter(|key| !key.holds_table) {
        let name = format!("{}.{}", key.path.join("."), key.name);
        // The key file of a service account has to exist, and the limit of a key names no account.
        if name.contains("service_account.") || name == "provider.key.limit.account" {
            continue;
        }
        for value in
            [&key.schema["examples"][0], &key.schema["default"]].into_iter().filter(|it| !it.is_null())
        {
            let file = file_with(key, value);
            assert!(load(&file).is_ok(), "{name} = {value}: {:?}\n{file:#}", load(&file).err());
        }
    }
}

#[test]
fn files_in_the_guides_load() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let Ok(guides) = fs::read_dir(guides) else { return };
    let mut files = 0;
    for guide in guides.map(|guide| guide.unwrap().path()).filter(|path| path.is_file()) {
        let text = fs::read_to_string(&guide).unwrap();
        let blocks = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
        for block in blocks.filter(|block| block.contains("[[provider]]")) {
            let parsed: toml::Table = toml::from_str(block).unwrap();
            let loaded = load(&serde_json::to_value(parsed).unwrap());
            assert!(loaded.is_ok(), "{}: {:?}\n{block}", guide.display(), loaded.err());
            files += 1;
        }
    }
    assert!(files > 0, "no guide shows a file");
}

#[test]
fn the_schema_lists_the_words_of_a_setting() {
    let schema = json_schema();
    let chain = &schema["definitions"]["ChainTable"];
    assert_eq!(chain["properties"]["start"]["enum"], json!(["ordered", "round_robin"]));
    assert_eq!(chain["additionalProperties"], json!(false));
    assert!(!schema.to_string().contains("null"), "no file contains null");
}
