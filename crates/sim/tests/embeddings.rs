//! Embeddings, over sockets.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

mod support;

use base64::Engine;
use serde_json::{Value, json};
use support::Provider;
use tower_key_rotation_sim::Simulator;

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap() as f32).collect()
}

#[tokio::test]
async fn base64_has_the_same_floats() {
    let openai = Provider::openai().await;
    let ask = async |format: &str| {
        let body = json!({"model": "text-embedding-3-small", "input": "fox", "encoding_format": format});
        openai.post("/v1/embeddings", body).await.ok()["data"][0]["embedding"].clone()
    };
    let numbers = floats(&ask("float").await);
    assert_eq!(numbers.len(), 1_536);
    assert!((numbers.iter().map(|it| it * it).sum::<f32>() - 1.0).abs() < 1e-3);
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(ask("base64").await.as_str().unwrap()).unwrap();
    let decoded: Vec<f32> = bytes.chunks(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect();
    assert_eq!(decoded, numbers);
}

#[tokio::test]
async fn each_input_has_a_vector_of_its_own() {
    let openai = Provider::openai().await;
    let ask = async |input: Value| {
        let body = json!({"model": "text-embedding-3-large", "input": input, "dimensions": 8});
        let data = openai.post("/v1/embeddings", body).await.ok()["data"].clone();
        data.as_array().unwrap().iter().map(|it| floats(&it["embedding"])).collect::<Vec<_>>()
    };
    let three = ask(json!(["fox", "dog", "fox"])).await;
    assert!(three.len() == 3 && three.iter().all(|vector| vector.len() == 8));
    assert!(three[0] == three[2] && three[0] != three[1]);
    assert_eq!(ask(json!([1, 2, 3])).await.len(), 1);
    assert_eq!(ask(json!([[1, 2], [3]])).await.len(), 2);
}

#[tokio::test]
async fn gemini_embeds_batches() {
    let gemini = Provider::new(Simulator::gemini()).await;
    let content = |text: &str| json!({"content": {"parts": [{"text": text}]}, "outputDimensionality": 4});
    let path = "/v1beta/models/gemini-embedding-001";
    let one = gemini.post(&format!("{path}:embedContent"), content("fox")).await.ok();
    assert_eq!(floats(&one["embedding"]["values"]).len(), 4);
    let body = json!({"requests": [content("fox"), content("dog")]});
    let two = gemini.post(&format!("{path}:batchEmbedContents"), body).await.ok();
    assert_eq!(two["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(two["embeddings"][0]["values"], one["embedding"]["values"]);
}
