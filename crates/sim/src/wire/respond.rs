//! Chooses the format of a response.

use super::input::ResponseInput;
use super::reply::{Event, Part, Reply};
use super::route::{Endpoint, Format};
use super::{anthropic, gemini, openai, websocket};
use crate::script::Refusal;
use crate::store::Store;

/// Returns the response to a call that passed all checks.
///
/// `store` has the objects of its account. The call is refused after all if it names an object that is not one
/// of them.
pub(crate) fn respond(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    if input.request.route.is_websocket() {
        return websocket::respond(input);
    }
    Ok(match input.request.route.format {
        Format::OpenAi => openai::add_headers(openai::respond(input, store)?, input),
        Format::GeminiCompat => gemini::add_headers(openai::respond(input, store)?),
        Format::AnthropicCompat => anthropic::add_headers(openai::respond(input, store)?, input),
        Format::Anthropic => anthropic::add_headers(anthropic::respond(input, store)?, input),
        Format::Gemini => gemini::add_headers(gemini::respond(input, store)?),
    })
}

/// Returns an error as the response.
pub(crate) fn refuse(input: &ResponseInput<'_>, refusal: &Refusal) -> Reply {
    match input.request.route.format {
        Format::OpenAi => openai::refuse(input, refusal),
        Format::Anthropic | Format::AnthropicCompat => anthropic::refuse(input, refusal),
        Format::Gemini | Format::GeminiCompat => gemini::refuse(input, refusal),
    }
}

/// Returns an error as an event of a stream that has begun with status 200. `is_first` says that no event was
/// sent before it.
pub(crate) fn error_event(input: &ResponseInput<'_>, refusal: &Refusal, is_first: bool) -> Event {
    let data = |error| Event::data(Part::Closing, &error);
    match (input.request.route.format, input.request.route.endpoint) {
        (Format::OpenAi, Endpoint::Responses) => openai::responses::error_event(input, refusal),
        (Format::OpenAi, _) => data(openai::error::error(input, refusal).1),
        (Format::Anthropic, _) => Event::named(Part::Closing, &anthropic::error::error(input, refusal).1),
        (Format::AnthropicCompat, _) => data(anthropic::error::compatible_error(input, refusal).1),
        (Format::Gemini, _) => gemini::content::error_event(input, refusal, is_first),
        (Format::GeminiCompat, _) => data(gemini::error::error(input, refusal).1),
    }
}
