//! Lists of models and unknown ones, over sockets.

mod support;

use serde_json::{Value, json};
use support::{CHAT, GENERATE, MESSAGES, Provider, RESPONSES};
use tower_key_rotation_sim::Simulator;

#[tokio::test]
async fn one_model_can_be_looked_up() {
    let openai = Provider::new(Simulator::openai().model("fox-1")).await;
    assert_eq!(openai.get("/v1/models/gpt-4o").await.ok()["id"], "gpt-4o");
    assert_eq!(openai.get("/v1/models/fox-1").await.ok()["object"], "model");
    assert_eq!(openai.get("/v1/models/fox-2").await.refused(404)["code"], "model_not_found");
    let listed = openai.get("/v1/models").await.ok();
    assert!(listed["data"].as_array().is_some_and(|all| all.iter().any(|it| it["id"] == "fox-1")));

    let anthropic = Provider::new(Simulator::anthropic()).await;
    assert_eq!(anthropic.get("/v1/models/claude-sonnet-4-5-20250929").await.ok()["type"], "model");
    assert_eq!(anthropic.get("/v1/models/fox").await.refused(404)["type"], "not_found_error");

    let gemini = Provider::new(Simulator::gemini()).await;
    let one = gemini.get("/v1beta/models/gemini-2.5-flash").await.ok();
    assert_eq!(one["name"], "models/gemini-2.5-flash");
    assert_eq!(gemini.get("/v1beta/models/fox").await.refused(404)["status"], "NOT_FOUND");
    assert_eq!(gemini.get("/v1beta/openai/models/gemini-2.5-pro").await.ok()["id"], "gemini-2.5-pro");
}

#[tokio::test]
async fn unlisted_models_can_be_refused() {
    let body = |model: &str| json!({"model": model, "messages": [], "input": "", "max_tokens": 1});
    let openai = Provider::new(Simulator::openai().listed_models_only()).await;
    assert_eq!(openai.post(CHAT, body("gpt-4o-2024-11-20")).await.status, 200);
    assert_eq!(openai.post(CHAT, body("gpt-9")).await.refused(404)["code"], "model_not_found");
    assert_eq!(openai.post(RESPONSES, body("gpt-9")).await.refused(400)["code"], "model_not_found");

    let anthropic = Provider::new(Simulator::anthropic().listed_models_only()).await;
    assert_eq!(anthropic.post(MESSAGES, body("gpt-4o")).await.refused(404)["type"], "not_found_error");
    assert_eq!(anthropic.post(CHAT, body("claude-haiku-4-5")).await.status, 200);

    let gemini = Provider::new(Simulator::gemini().listed_models_only()).await;
    assert_eq!(gemini.post(GENERATE, json!({"contents": []})).await.status, 200);
    let unknown = GENERATE.replace("gemini-2.5-flash", "gemini-9");
    assert_eq!(gemini.post(&unknown, json!({"contents": []})).await.refused(404)["status"], "NOT_FOUND");
    let compatible = gemini.post("/v1beta/openai/chat/completions", body("gemini-9")).await;
    assert_eq!(compatible.status, 404);
    assert_eq!(gemini.sim.log().iter().filter(|call| call.fault.is_some()).count(), 2);

    let any = Provider::openai().await;
    assert_eq!(any.post(CHAT, body("whatever")).await.ok()["model"], Value::from("whatever"));
}
