//! `genai` behind a gateway: it takes a `reqwest::Client`, which no layer fits into, or a base URL, which fits.

use genai::Client;
use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};

/// Returns a client that sends its requests to a gateway at `origin`, such as `http://127.0.0.1:8787`, with the token
/// of a caller of that gateway. The gateway puts the keys on.
///
/// # Errors
///
/// Returns the errors of the HTTP client's builder.
pub fn client(origin: &str, token: &str) -> genai::Result<Client> {
    let at = |path: &str| (Endpoint::from_owned(format!("{origin}{path}")), AuthData::from_single(token));
    Client::builder()
        .append_provider_config(AdapterKind::OpenAI, at("/v1/"))
        .append_provider_config(AdapterKind::Anthropic, at("/v1/"))
        .append_provider_config(AdapterKind::Gemini, at("/v1beta/"))
        .build()
}
