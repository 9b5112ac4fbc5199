//! OpenAI's speech and transcription.

use http::StatusCode;
use serde_json::json;

use crate::wire::input::ResponseInput;
use crate::wire::reply::{Event, Part, Reply};

/// Samples per second.
const RATE: u32 = 24_000;

/// Number of samples: a quarter of a second.
const SAMPLES: u32 = 6_000;

/// Samples of half a wave: a tone of 480 Hz.
const HALF_WAVE: u32 = 25;

/// Returns a short tone: raw samples if the request asks for `pcm`, and a WAV file for any other format.
pub(super) fn speech(input: &ResponseInput<'_>) -> Reply {
    let sample = |at: u32| if (at / HALF_WAVE).is_multiple_of(2) { 4_000_i16 } else { -4_000 };
    let samples: Vec<u8> = (0..SAMPLES).flat_map(|at| sample(at).to_le_bytes()).collect();
    if input.request.body["response_format"] == "pcm" {
        return Reply::binary("audio/pcm", samples.into());
    }
    Reply::binary("audio/wav", wav(&samples).into())
}

/// Returns a transcription in the format that the request asks for.
pub(super) fn transcription(input: &ResponseInput<'_>) -> Reply {
    let text = input.text();
    let body = &input.request.body;
    if body["stream"] == "true" || body["stream"] == true {
        return Reply::stream(stream(input));
    }
    match body["response_format"].as_str().unwrap_or("json") {
        "text" => Reply::binary("text/plain; charset=utf-8", format!("{text}\n").into()),
        "srt" => {
            let lines = format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n");
            Reply::binary("text/plain; charset=utf-8", lines.into())
        }
        "vtt" => {
            let lines = format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n");
            Reply::binary("text/plain; charset=utf-8", lines.into())
        }
        "verbose_json" => {
            let segment = json!({
                "id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": text, "tokens": [], "temperature": 0.0,
                "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0,
            });
            let value = json!({
                "task": "transcribe", "language": "english", "duration": 1.0, "text": text,
                "segments": [segment],
            });
            Reply::json(StatusCode::OK, &value)
        }
        _ => Reply::json(StatusCode::OK, &json!({"text": text, "usage": usage(input)})),
    }
}

fn stream(input: &ResponseInput<'_>) -> Vec<Event> {
    let delta = |piece: &String| {
        Event::data(Part::Content, &json!({"type": "transcript.text.delta", "delta": piece}))
    };
    let mut events: Vec<Event> = input.output.pieces().iter().map(delta).collect();
    let done = json!({"type": "transcript.text.done", "text": input.text(), "usage": usage(input)});
    events.push(Event::data(Part::Terminator, &done));
    events
}

fn usage(input: &ResponseInput<'_>) -> serde_json::Value {
    json!({
        "type": "tokens", "input_tokens": input.prompt_tokens(),
        "output_tokens": input.completion_tokens(), "total_tokens": input.total_tokens(),
    })
}

/// Returns samples of 16 bits, on one channel, as a WAV file.
fn wav(samples: &[u8]) -> Vec<u8> {
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(samples.len() + 44);
    out.extend(b"RIFF");
    out.extend((length + 36).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    out.extend([1, 0, 1, 0]);
    out.extend(RATE.to_le_bytes());
    out.extend((RATE * 2).to_le_bytes());
    // Two bytes per frame, 16 bits per sample.
    out.extend([2, 0, 16, 0]);
    out.extend(b"data");
    out.extend(length.to_le_bytes());
    out.extend(samples);
    out
}
