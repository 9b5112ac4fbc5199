//! OpenAI's legacy completions.

use http::StatusCode;
use serde_json::{Value, json};

use super::chat::{choices, usage};
use crate::wire::input::ResponseInput;
use crate::wire::reply::{Event, Part, Reply};

pub(super) fn respond(input: &ResponseInput<'_>) -> Reply {
    if input.request.fields.streamed {
        return Reply::stream(stream(input));
    }
    let mut value = completion(input, &input.text(), Some("stop"));
    let choice = value["choices"][0].clone();
    let numbered = (0..choices(input)).map(|index| {
        let mut choice = choice.clone();
        choice["index"] = index.into();
        choice
    });
    value["choices"] = numbered.collect();
    value["usage"] = usage(input);
    Reply::json(StatusCode::OK, &value)
}

fn completion(input: &ResponseInput<'_>, text: &str, finish_reason: Option<&str>) -> Value {
    json!({
        "id": input.id("cmpl-"), "object": "text_completion", "created": input.created(),
        "model": input.model(),
        "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason}],
    })
}

fn stream(input: &ResponseInput<'_>) -> Vec<Event> {
    let piece = |piece: &String| Event::data(Part::Content, &completion(input, piece, None));
    let mut events: Vec<Event> = input.output.pieces().iter().map(piece).collect();
    events.push(Event::data(Part::Closing, &completion(input, "", Some("stop"))));
    if input.request.fields.include_usage {
        let mut last = completion(input, "", None);
        last["choices"] = json!([]);
        last["usage"] = usage(input);
        events.push(Event::data(Part::Closing, &last));
    }
    events.push(Event { bytes: "data: [DONE]\n\n".into(), part: Part::Terminator });
    events
}
