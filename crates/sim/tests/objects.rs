//! Responses with state, conversations, files and batches of all three providers, over sockets.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

mod support;

use serde_json::{Value, json};
use support::{CHAT, GENERATE, MESSAGES, Provider, RESPONSES};
use tower_key_rotation_sim::Simulator;

async fn created(openai: &Provider, more: &[(&str, Value)]) -> Value {
    let mut body = json!({"model": "gpt-5", "input": "hi"});
    more.iter().for_each(|(name, value)| body[*name] = value.clone());
    openai.post(RESPONSES, body).await.ok()
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_response_can_be_continued_read_and_deleted() {
    let openai = Provider::openai().await;
    let first = created(&openai, &[]).await;
    let path = format!("{RESPONSES}/{}", id(&first));
    assert_eq!(openai.get(&path).await.ok(), first);
    let items = openai.get(&format!("{path}/input_items")).await.ok();
    assert_eq!(items["data"][0]["content"][0]["text"], "hi");
    let second = created(&openai, &[("previous_response_id", first["id"].clone())]).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_ne!(second["id"], first["id"]);

    assert_eq!(openai.delete(&path).await.ok()["deleted"], true);
    openai.get(&path).await.refused(404);
    openai.delete(&path).await.refused(404);
    let body = json!({"model": "gpt-5", "input": "hi", "previous_response_id": first["id"]});
    assert_eq!(openai.post(RESPONSES, body).await.refused(400)["code"], "previous_response_not_found");
    let unstored = created(&openai, &[("store", false.into())]).await;
    openai.get(&format!("{RESPONSES}/{}", id(&unstored))).await.refused(404);
}

#[tokio::test]
async fn streamed_responses_are_kept_and_in_order() {
    let openai = Provider::openai().await;
    let body = json!({"model": "gpt-5", "input": "hi", "stream": true});
    let events = openai.post(RESPONSES, body).await.events();
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["response.created", "response.in_progress", "response.output_item.added"]);
    let last = &events.last().unwrap()["response"];
    assert_eq!(openai.get(&format!("{RESPONSES}/{}", id(last))).await.ok(), *last);
}

#[tokio::test]
async fn objects_belong_to_their_account() {
    let mut openai = Provider::openai().await;
    let response = created(&openai, &[]).await;
    let conversation = openai.post("/v1/conversations", json!({})).await.ok();
    let file = openai.upload("/v1/files", &[("purpose", "batch")], "a.jsonl", b"{}").await.ok();
    let paths = [
        format!("{RESPONSES}/{}", id(&response)),
        format!("/v1/conversations/{}", id(&conversation)),
        format!("/v1/files/{}", id(&file)),
        format!("/v1/files/{}/content", id(&file)),
    ];
    openai.with_key("key-b");
    for path in &paths {
        assert_eq!(openai.get(path).await.refused(404)["type"], "invalid_request_error");
    }
    assert_eq!(openai.get("/v1/files").await.ok()["data"], json!([]));
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions"});
    openai.post("/v1/batches", body).await.refused(404);
    let body = json!({"model": "gpt-5", "input": "", "conversation": conversation["id"]});
    openai.post(RESPONSES, body).await.refused(404);
    openai.with_key("key-a");
    for path in &paths {
        assert_eq!(openai.get(path).await.status, 200, "{path}");
    }
    assert_eq!(
        created(&openai, &[("conversation", conversation["id"].clone())]).await["status"],
        "completed"
    );
}

#[tokio::test]
async fn a_file_is_kept_byte_by_byte() {
    let openai = Provider::openai().await;
    let content = b"\r\n--X\r\n\r\n\0\xff--XX-\r\n";
    let file = openai.upload("/v1/files", &[("purpose", "user_data")], "a b.bin", content).await.ok();
    assert_eq!((&file["filename"], &file["bytes"]), (&json!("a b.bin"), &json!(content.len())));
    let path = format!("/v1/files/{}", id(&file));
    assert_eq!(openai.get(&path).await.ok(), file);
    assert_eq!(openai.get(&format!("{path}/content")).await.bytes, content[..]);
    assert_eq!(openai.get("/v1/files").await.ok()["data"], json!([file]));
    assert_eq!(openai.delete(&path).await.ok()["deleted"], true);
    openai.get(&path).await.refused(404);
    openai.upload("/v1/files", &[], "a", b"").await.refused(400);
}

#[tokio::test]
async fn a_batch_becomes_completed() {
    let openai = Provider::openai().await;
    let line = |id: &str, url: &str, body: Value| {
        json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string()
    };
    let lines = [
        line("one", "/v1/chat/completions", json!({"model": "gpt-4o", "messages": []})),
        line(
            "two",
            "/v1/embeddings",
            json!({"model": "text-embedding-3-small", "input": "x", "dimensions": 2}),
        ),
    ];
    let run = async |content: &str| {
        let file =
            openai.upload("/v1/files", &[("purpose", "batch")], "a.jsonl", content.as_bytes()).await.ok();
        let endpoint = "/v1/chat/completions";
        let body = json!({"input_file_id": file["id"], "endpoint": endpoint, "completion_window": "24h"});
        let batch = openai.post("/v1/batches", body).await.ok();
        assert_eq!(batch["status"], "validating");
        openai.get(&format!("/v1/batches/{}", id(&batch))).await.ok()
    };
    let batch = run(&lines.join("\n")).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 2, "failed": 0}));
    let path = format!("/v1/files/{}/content", batch["output_file_id"].as_str().unwrap());
    let output = openai.get(&path).await.text();
    let output: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(output[0]["custom_id"], "one");
    assert_eq!(output[0]["response"]["body"]["object"], "chat.completion");
    assert_eq!(output[1]["response"]["body"]["data"][0]["embedding"].as_array().unwrap().len(), 2);
    assert_ne!(output[0]["id"], output[1]["id"]);

    assert_eq!(run("no json").await["status"], "failed");
    assert_eq!(openai.get("/v1/batches").await.ok()["data"].as_array().unwrap().len(), 2);
    openai.get("/v1/batches/batch_1").await.refused(404);
}

#[tokio::test]
async fn anthropic_keeps_files_and_batches() {
    let mut anthropic = Provider::new(Simulator::anthropic()).await;
    let file = anthropic.upload("/v1/files", &[], "a.txt", b"foxes").await.ok();
    assert_eq!((&file["type"], &file["size_bytes"]), (&json!("file"), &json!(5)));
    let source = json!({"type": "document", "source": {"type": "file", "file_id": file["id"]}});
    let ask = |content: Value| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    anthropic.post(MESSAGES, ask(json!([source]))).await.ok();
    let batch = json!({"requests": [{"custom_id": "1", "params": ask("hi".into())}]});
    let batch = anthropic.post("/v1/messages/batches", batch).await.ok();
    assert_eq!(batch["processing_status"], "in_progress");
    let path = format!("/v1/messages/batches/{}", id(&batch));
    let ended = anthropic.get(&path).await.ok();
    assert_eq!(ended["processing_status"], "ended");
    assert!(ended["results_url"].as_str().unwrap().ends_with(&format!("{path}/results")));
    let results = anthropic.get(&format!("{path}/results")).await.text();
    let result: Value = serde_json::from_str(results.trim_end()).unwrap();
    assert_eq!(
        (&result["custom_id"], &result["result"]["message"]["role"]),
        (&json!("1"), &json!("assistant"))
    );

    anthropic.with_key("key-b");
    let file_path = format!("/v1/files/{}", id(&file));
    for path in [&path, &file_path] {
        assert_eq!(anthropic.get(path).await.refused(404)["type"], "not_found_error");
    }
    anthropic.post(MESSAGES, ask(json!([source]))).await.refused(404);
    assert_eq!(anthropic.get("/v1/files").await.ok()["data"], json!([]));
    anthropic.with_key("key-a");
    assert_eq!(anthropic.get("/v1/messages/batches").await.ok()["data"][0]["id"], batch["id"]);
    anthropic.get(&format!("{file_path}/content")).await.refused(400);
    assert_eq!(anthropic.delete(&file_path).await.ok()["type"], "file_deleted");
    anthropic.get(&file_path).await.refused(404);
}

#[tokio::test]
async fn gemini_keeps_files_caches_and_batches() {
    let mut gemini = Provider::new(Simulator::gemini()).await;
    let file = gemini.resumable("/upload/v1beta/files", b"foxes").await["file"].clone();
    assert_eq!(
        (&file["sizeBytes"], &file["state"], &file["displayName"]),
        (&json!("5"), &json!("ACTIVE"), &json!("foxes"))
    );
    let cache =
        gemini.post("/v1beta/cachedContents", json!({"model": "models/m", "contents": []})).await.ok();
    let data = json!({"fileData": {"fileUri": file["uri"]}});
    let about = json!({"contents": [{"parts": [data]}]});
    let cached = json!({"contents": [], "cachedContent": cache["name"]});
    for body in [&about, &cached] {
        gemini.post(GENERATE, body.clone()).await.ok();
    }
    let requests = json!([{"request": {"contents": []}, "metadata": {"key": "1"}}]);
    let batch = json!({"batch": {"displayName": "b", "inputConfig": {"requests": {"requests": requests}}}});
    let batch_path = GENERATE.replace("generateContent", "batchGenerateContent");
    let batch = gemini.post(&batch_path, batch).await.ok();
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_PENDING");
    let paths = [&file, &cache, &batch].map(|object| format!("/v1beta/{}", object["name"].as_str().unwrap()));
    let done = gemini.get(&paths[2]).await.ok();
    assert_eq!(done["response"]["inlinedResponses"]["inlinedResponses"][0]["metadata"]["key"], "1");
    gemini.post(&format!("{}:cancel", paths[2]), json!({})).await.ok();

    gemini.with_key("key-b");
    for path in &paths {
        assert_eq!(gemini.get(path).await.refused(403)["status"], "PERMISSION_DENIED", "{path}");
    }
    for body in [about, cached] {
        gemini.post(GENERATE, body).await.refused(403);
    }
    assert_eq!(gemini.get("/v1beta/files").await.ok(), json!({"files": []}));
    gemini.with_key("key-a");
    for path in &paths {
        gemini.delete(path).await.ok();
        gemini.get(path).await.refused(403);
    }
}

#[tokio::test]
async fn reasoning_is_encrypted_for_its_account() {
    let mut openai = Provider::openai().await;
    let include = json!(["reasoning.encrypted_content"]);
    let first = created(&openai, &[("include", include.clone()), ("store", false.into())]).await;
    assert_eq!(
        (&first["output"][0]["type"], &first["output"][1]["type"]),
        (&json!("reasoning"), &json!("message"))
    );
    let body = json!({"model": "gpt-5", "input": first["output"]});
    openai.post(RESPONSES, body.clone()).await.ok();
    openai.with_key("key-b");
    assert_eq!(openai.post(RESPONSES, body).await.refused(400)["code"], "invalid_encrypted_content");
}

#[tokio::test]
async fn several_choices_are_numbered() {
    let openai = Provider::openai().await;
    let whole = openai.post(CHAT, json!({"model": "gpt-4o", "messages": [], "n": 3})).await.ok();
    let numbers = |choices: &Value| {
        choices.as_array().unwrap().iter().map(|it| it["index"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&whole["choices"]), [0, 1, 2]);
    assert_eq!(whole["usage"]["completion_tokens"], 27);
    let body = json!({"model": "gpt-4o", "messages": [], "n": 2, "stream": true});
    let events = openai.post(CHAT, body).await.events();
    let ended = events.iter().filter(|event| event["choices"][0]["finish_reason"] == "stop");
    assert_eq!(ended.flat_map(|event| numbers(&event["choices"])).collect::<Vec<_>>(), [0, 1]);
    let legacy = openai.post("/v1/completions", json!({"model": "m", "prompt": "", "n": 2})).await.ok();
    assert_eq!(numbers(&legacy["choices"]), [0, 1]);
}
