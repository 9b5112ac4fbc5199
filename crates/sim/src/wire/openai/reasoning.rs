//! Reasoning items of the Responses endpoint, encrypted for the account of the call.

use serde_json::{Value, json};

use crate::script::Refusal;
use crate::wire::input::ResponseInput;
use crate::wire::named::texts;

/// How encrypted content begins.
const START: &str = "gAAAAAB";

/// Number of times that the number of the call is repeated, so that the content has a usual length.
const REPEATED: usize = 20;

/// Returns whether the request asks for encrypted reasoning.
pub(super) fn is_wanted(body: &Value) -> bool {
    let include = body["include"].as_array().into_iter().flatten();
    include.into_iter().any(|it| it == "reasoning.encrypted_content")
}

/// Refuses reasoning that was encrypted for another account.
pub(super) fn check(input: &ResponseInput<'_>) -> Result<(), Refusal> {
    let own = for_account(input.organization);
    let content = texts(&input.request.body["input"], &["encrypted_content"]);
    let is_own = content.iter().all(|content| content.contains(&own));
    if is_own { Ok(()) } else { Err(Refusal::InvalidEncryptedContent) }
}

/// Returns a reasoning item without a summary.
pub(super) fn item(input: &ResponseInput<'_>) -> Value {
    let call = input.id("").repeat(REPEATED);
    let content = [START, &call[..24], &for_account(input.organization), &call].concat();
    json!({"id": input.id("rs_"), "type": "reasoning", "summary": [], "encrypted_content": content})
}

/// Returns the part of encrypted content that depends on the account.
fn for_account(account: &str) -> String {
    let hash = account.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}
