//! Embeddings: vectors of length 1 that depend on the text and the dimensions only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Maximum number of dimensions that a request can ask for.
const MOST_DIMENSIONS: usize = 16_384;

/// Returns the inputs to embed: each a text, or a list of tokens.
pub(super) fn inputs(input: &Value) -> Vec<&Value> {
    match input {
        // A list of tokens is one text, and a list of parts is one content.
        Value::Array(list) if list.iter().all(|it| it.is_string() || it.is_array()) => list.iter().collect(),
        one => vec![one],
    }
}

/// Returns the vector of an input. `dimensions` is the number that the request asks for.
pub(super) fn vector(model: &str, input: &Value, dimensions: &Value) -> Vec<f32> {
    let wanted = dimensions.as_u64().and_then(|number| usize::try_from(number).ok());
    let dimensions = wanted.unwrap_or_else(|| usual_dimensions(model)).clamp(1, MOST_DIMENSIONS);
    let seed = input.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut rng = fastrand::Rng::with_seed(seed);
    let values: Vec<f32> = (0..dimensions).map(|_| rng.f32() - 0.5).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    values.iter().map(|value| value / length).collect()
}

/// Returns a vector as base64 of little-endian floats of 32 bits.
pub(super) fn base64(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes).into()
}

/// Returns a vector as numbers, in the shortest form that reads as the same floats.
pub(super) fn numbers(vector: &[f32]) -> Value {
    vector.iter().map(|value| value.to_string().parse::<f64>().unwrap_or_default()).collect()
}

/// Returns the dimensions of a model's vectors, as the providers' pages about the models state them.
fn usual_dimensions(model: &str) -> usize {
    match model.trim_start_matches("models/") {
        "text-embedding-3-large" | "gemini-embedding-001" => 3_072,
        "text-embedding-004" | "embedding-001" => 768,
        _ => 1_536,
    }
}
