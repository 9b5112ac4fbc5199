//! Structured output and arguments of tools, over sockets.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

mod support;

use serde_json::{Value, json};
use support::{CHAT, GENERATE, MESSAGES, Provider, RESPONSES, STREAM};
use tower_key_rotation_sim::Simulator;

/// A schema with most of what schemas have.
fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false,
        "required": ["name", "age", "kind", "tags", "owner", "size"],
        "properties": {
            "name": {"type": "string", "minLength": 12},
            "age": {"type": "integer", "minimum": 3, "exclusiveMaximum": 5},
            "kind": {"const": "fox"},
            "tags": {"type": "array", "items": {"enum": ["red", "small"]}, "minItems": 2, "maxItems": 2},
            "owner": {"anyOf": [{"$ref": "#/$defs/owner"}, {"type": "null"}]},
            "size": {"allOf": [{"type": "number"}, {"minimum": 0.5, "maximum": 0.75}]}
        },
        "$defs": {"owner": {"type": "object", "required": ["email"], "additionalProperties": false,
                            "properties": {"email": {"type": "string", "format": "email"}}}}
    })
}

/// Fails unless `value` fits [`schema`].
#[track_caller]
fn assert_fits(value: &Value) {
    assert!(value["name"].as_str().unwrap().len() >= 12, "{value}");
    assert!([3, 4].contains(&value["age"].as_u64().unwrap()), "{value}");
    assert_eq!(value["kind"], "fox");
    assert_eq!(value["tags"].as_array().unwrap().len(), 2);
    assert!(value["tags"].as_array().unwrap().iter().all(|tag| tag == "red" || tag == "small"), "{value}");
    assert!(value["owner"].is_null() || value["owner"]["email"].as_str().unwrap().contains('@'), "{value}");
    assert!((0.5..=0.75).contains(&value["size"].as_f64().unwrap()), "{value}");
    assert_eq!(value.as_object().unwrap().len(), 6, "{value}");
}

#[track_caller]
fn assert_text_fits(text: &str) {
    assert_fits(&serde_json::from_str(text).unwrap());
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[tokio::test]
async fn chat_has_json_of_the_schema() {
    let openai = Provider::openai().await;
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema()}});
    let mut body = json!({"model": "gpt-4o", "messages": [], "response_format": format});
    let whole = openai.post(CHAT, body.clone()).await.ok();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert_text_fits(text);
    body["stream"] = true.into();
    let events = openai.post(CHAT, body).await.events();
    assert_eq!(joined(&events, "/choices/0/delta/content"), text);

    let mode = json!({"model": "gpt-4o", "messages": [], "response_format": {"type": "json_object"}});
    let whole = openai.post(CHAT, mode).await.ok();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(text).unwrap().is_object());
}

#[tokio::test]
async fn responses_have_json_of_the_schema() {
    let openai = Provider::openai().await;
    let format = json!({"type": "json_schema", "name": "x", "schema": schema()});
    let mut body = json!({"model": "gpt-5", "input": "hi", "text": {"format": format}});
    let whole = openai.post(RESPONSES, body.clone()).await.ok();
    assert_text_fits(whole["output"][0]["content"][0]["text"].as_str().unwrap());
    body["stream"] = true.into();
    assert_text_fits(&joined(&openai.post(RESPONSES, body).await.events(), "/delta"));
}

#[tokio::test]
async fn messages_have_json_of_the_schema() {
    let anthropic = Provider::new(Simulator::anthropic()).await;
    let format = json!({"type": "json_schema", "schema": schema()});
    let body = |name: &str, value: Value| {
        let mut body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": []});
        body[name] = value;
        body
    };
    for body in [body("output_format", format.clone()), body("output_config", json!({"format": format}))] {
        let whole = anthropic.post(MESSAGES, body).await.ok();
        assert_text_fits(whole["content"][0]["text"].as_str().unwrap());
    }
}

#[tokio::test]
async fn gemini_has_json_of_the_schema() {
    let gemini = Provider::new(Simulator::gemini()).await;
    let body = json!({"contents": [], "generationConfig": {
        "responseMimeType": "application/json", "responseJsonSchema": schema(),
    }});
    let whole = gemini.post(GENERATE, body.clone()).await.ok();
    assert_text_fits(whole["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap());
    let events = gemini.post(STREAM, body).await.events();
    assert_text_fits(&joined(&events, "/candidates/0/content/parts/0/text"));

    let capitals = json!({"type": "OBJECT", "required": ["n"], "properties": {
        "n": {"type": "INTEGER", "minimum": 2, "nullable": true}, "list": {"type": "ARRAY", "minItems": "2",
        "items": {"type": "STRING", "enum": ["a", "b"]}},
    }});
    let config = json!({"response_mime_type": "application/json", "response_schema": capitals});
    let whole = gemini.post(GENERATE, json!({"contents": [], "generation_config": config})).await.ok();
    let text = whole["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value["n"].as_u64().unwrap() >= 2 && value["list"].as_array().unwrap().len() == 2, "{value}");

    let config =
        json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["up"]}});
    let whole = gemini.post(GENERATE, json!({"contents": [], "generationConfig": config})).await.ok();
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["text"], "up");
}

#[tokio::test]
async fn arguments_of_openai_tools_fit() {
    let openai = Provider::openai().await;
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema()}});
    let mut body = json!({"model": "gpt-4o", "messages": [], "tools": [tool]});
    let whole = openai.post(CHAT, body.clone()).await.ok();
    let call = &whole["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_text_fits(call["arguments"].as_str().unwrap());
    body["stream"] = true.into();
    let events = openai.post(CHAT, body).await.events();
    assert_text_fits(&joined(&events, "/choices/0/delta/tool_calls/0/function/arguments"));

    let search = json!({"type": "web_search"});
    let tool = json!({"type": "function", "name": "f", "parameters": schema()});
    let mut body = json!({"model": "gpt-5", "input": "hi", "tools": [search, tool]});
    let whole = openai.post(RESPONSES, body.clone()).await.ok();
    assert_eq!(whole["output"][0]["name"], "f");
    assert_text_fits(whole["output"][0]["arguments"].as_str().unwrap());
    body["stream"] = true.into();
    assert_text_fits(&joined(&openai.post(RESPONSES, body).await.events(), "/delta"));
}

#[tokio::test]
async fn arguments_of_other_tools_fit() {
    let anthropic = Provider::new(Simulator::anthropic()).await;
    let server = json!({"type": "web_search_20250305", "name": "web_search"});
    let tools = json!([server, {"name": "f", "input_schema": schema()}]);
    let mut body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [], "tools": tools});
    let whole = anthropic.post(MESSAGES, body.clone()).await.ok();
    assert_fits(&whole["content"][0]["input"]);
    body["stream"] = true.into();
    let events = anthropic.post(MESSAGES, body).await.events();
    assert_text_fits(&joined(&events, "/delta/partial_json"));

    let gemini = Provider::new(Simulator::gemini()).await;
    let function = json!({"name": "f", "parametersJsonSchema": schema()});
    let body = json!({"contents": [], "tools": [{"functionDeclarations": [function]}]});
    let whole = gemini.post(GENERATE, body.clone()).await.ok();
    assert_fits(&whole["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]);
    let events = gemini.post(STREAM, body).await.events();
    assert_fits(&events[0]["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]);
}

#[tokio::test]
async fn the_tool_choice_is_followed() {
    let openai = Provider::openai().await;
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let ask = async |choice: Value, messages: Value| {
        let tools = [tool("look_up"), tool("finish")];
        let body = json!({"model": "gpt-4o", "messages": messages, "tools": tools, "tool_choice": choice});
        openai.post(CHAT, body).await.ok()["choices"][0]["message"]["tool_calls"][0]["function"]["name"]
            .clone()
    };
    assert_eq!(ask("auto".into(), json!([])).await, "look_up");
    assert_eq!(ask("none".into(), json!([])).await, Value::Null);
    assert_eq!(ask(tool("finish"), json!([])).await, "finish");
    let looked_up = json!([
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look_up"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "1"},
    ]);
    assert_eq!(ask("auto".into(), looked_up.clone()).await, Value::Null);
    assert_eq!(ask("required".into(), looked_up).await, "finish");
}
