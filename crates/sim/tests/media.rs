//! Images, audio, moderations and the smaller endpoints, over sockets.

mod support;

use base64::Engine;
use serde_json::json;
use support::{MESSAGES, Provider};
use tower_key_rotation_sim::Simulator;

#[tokio::test]
async fn images_are_png() {
    let openai = Provider::openai().await;
    let body = json!({"model": "gpt-image-1", "prompt": "a fox", "n": 2});
    let images = openai.post("/v1/images/generations", body).await.ok();
    assert_eq!(images["data"].as_array().unwrap().len(), 2);
    let image = images["data"][0]["b64_json"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(image).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xae\x42\x60\x82"));
    let edited =
        openai.upload("/v1/images/edits", &[("prompt", "x"), ("n", "1")], "a.png", &bytes).await.ok();
    assert_eq!(edited["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn speech_is_a_wav_file() {
    let openai = Provider::openai().await;
    let body = json!({"model": "tts-1", "input": "hi", "voice": "alloy"});
    let speech = openai.post("/v1/audio/speech", body).await;
    assert_eq!((speech.status, speech.kind.as_str()), (200, "audio/wav"));
    let length = |at: usize| u32::from_le_bytes(speech.bytes[at..at + 4].try_into().unwrap()) as usize;
    assert!(&speech.bytes[..4] == b"RIFF" && &speech.bytes[8..16] == b"WAVEfmt ");
    assert_eq!((length(4) + 8, length(40) + 44), (speech.bytes.len(), speech.bytes.len()));
}

#[tokio::test]
async fn audio_is_transcribed() {
    let openai = Provider::openai().await;
    let ask = async |format: &str| {
        let fields = [("model", "whisper-1"), ("response_format", format)];
        openai.upload("/v1/audio/transcriptions", &fields, "a.wav", b"RIFF").await
    };
    assert_eq!(ask("json").await.ok()["text"], "The quick brown fox jumps over the lazy dog");
    assert_eq!(ask("text").await.text(), "The quick brown fox jumps over the lazy dog\n");
    assert!(ask("vtt").await.text().starts_with("WEBVTT\n"));
    assert_eq!(ask("verbose_json").await.ok()["segments"][0]["id"], 0);
    assert_eq!(openai.sim.log()[0].model.as_deref(), Some("whisper-1"));
    openai.upload("/v1/audio/transcriptions", &[], "a.wav", b"RIFF").await.refused(400);
    let streamed = [("model", "gpt-4o-transcribe"), ("stream", "true")];
    let events = openai.upload("/v1/audio/transcriptions", &streamed, "a.wav", b"").await.events();
    assert_eq!(events.last().unwrap()["type"], "transcript.text.done");
}

#[tokio::test]
async fn the_smaller_endpoints_respond() {
    let openai = Provider::openai().await;
    let moderated = openai.post("/v1/moderations", json!({"input": ["a", "b"]})).await.ok();
    assert_eq!(moderated["results"].as_array().unwrap().len(), 2);
    assert_eq!(moderated["results"][0]["flagged"], false);
    let body = json!({"model": "gpt-3.5-turbo-instruct", "prompt": "The"});
    let completed = openai.post("/v1/completions", body.clone()).await.ok();
    assert_eq!(completed["object"], "text_completion");
    let mut streamed = body;
    streamed["stream"] = true.into();
    let events = openai.post("/v1/completions", streamed).await.events();
    assert_eq!(events.len(), 10);

    let anthropic = Provider::new(Simulator::anthropic()).await;
    let body = json!({"model": "claude-sonnet-4-5", "messages": []});
    let counted = anthropic.post(&format!("{MESSAGES}/count_tokens"), body).await.ok();
    assert!(counted["input_tokens"].as_u64().unwrap() > 0);
    let gemini = Provider::new(Simulator::gemini()).await;
    let counted =
        gemini.post("/v1beta/models/gemini-2.5-pro:countTokens", json!({"contents": []})).await.ok();
    assert!(counted["totalTokens"].as_u64().unwrap() > 0);
}
