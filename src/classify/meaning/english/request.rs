//! English words about the request itself.

use crate::classify::meaning::topic::Topic::{Content, Missing, Request};
use crate::classify::meaning::topic::{Row, Words, row};

const MISSING: Words = &[
    "not found", "does not exist", "doesn't exist", "do not exist", "no such", "unknown model", "unknown url",
    "could not be found", "could not find", "cannot find", "can't find", "couldn't find", "was removed", "deprecated",
    "decommissioned", "no longer available", "no longer supported", "retired", "has been shut down",
    "not a valid model", "invalid model", "invalid url", "not exist", "no endpoints found", "unsupported model",
    "end of life", "sunset", "no model", "route not", "not a chat model", "did you mean",
];

const BAD_REQUEST: Words = &[
    "invalid parameter", "invalid value", "invalid argument", "invalid type", "invalid format", "invalid json",
    "invalid body", "invalid input", "invalid message", "invalid schema", "invalid request body", "invalid tool",
    "invalid image", "invalid role", "invalid content", "invalid field", "invalid property", "invalid enum",
    "invalid base64", "invalid option", "invalid url", "invalid prompt", "invalid function", "invalid response format",
    "unsupported parameter", "unsupported value", "unsupported type", "unsupported media", "unsupported content",
    "unsupported file", "unknown parameter", "unknown field", "unknown name", "unknown argument", "unknown variant",
    "unrecognized request argument", "unrecognized", "unexpected", "extra inputs", "extra field", "additional properties",
    "missing required", "required parameter", "required field", "field required", "field is required",
    "parameter is required", "missing field", "missing parameter", "must be one of", "must be a", "must be an",
    "must be of type", "must be less", "must be greater", "must be between", "must be at least", "must be either",
    "must be in", "must be non-empty", "must not", "must contain", "must match", "must include", "must start",
    "must end", "must alternate", "must follow", "should be a", "should be one of", "should be less", "should match",
    "cannot be empty", "cannot be null", "cannot be blank", "cannot be both", "can't be blank", "expected a",
    "expected an", "expected one of", "expected string", "expected object", "but got", "schema", "validation error",
    "validation failed", "validation errors", "malformed", "failed to parse", "could not parse", "couldn't parse",
    "cannot parse", "unable to parse", "parse error", "parsing error", "failed to decode", "could not decode",
    "failed to deserialize", "deserialize", "valid json", "json object", "json body", "context length",
    "context window", "context limit", "maximum context", "max context", "prompt is too long", "prompt too long",
    "input is too long", "input too long", "too long", "request too large", "payload too large", "file too large",
    "image too large", "exceeds the maximum", "exceeds maximum", "exceed the maximum", "maximum length",
    "maximum number of", "maximum allowed", "token count", "input token", "less than or equal", "greater than",
    "out of range", "not supported with", "not supported by this model", "not supported for this model",
    "not supported in", "is not supported", "are not supported", "does not support the", "does not support image",
    "does not support tool", "tool_use", "tool_result", "tool call", "tool_choice", "tool choice", "base64",
    "wrong type", "bad request", "syntax error", "type error", "request argument", "could not process",
    "content-type", "media type", "not a valid", "does not match", "did not match", "no endpoints found that support",
    "conflicting", "mutually exclusive", "not well-formed", "already exists", "max_tokens", "temperature",
    "budget tokens", "budget_tokens", "thinking budget", "reasoning budget", "thinking tokens", "reasoning tokens",
    "in batch", "in the batch", "in a batch", "per batch", "batch contains", "batch size", "batch has",
    "mcp server", "mcp tool", "unable to fetch", "failed to fetch", "could not fetch", "couldn't fetch",
    "unable to download", "failed to download", "could not download", "error while downloading", "remote server",
    "system prompt", "last message", "first message", "conversation roles", "messages with role", "cannot both",
];

const TEXT: Words = &["content", "prompt", "input", "output", "message", "request", "response", "text", "image"];

const OBJECTIONABLE: Words = &[
    "flagged", "moderation", "content policy", "content management policy", "content filter", "usage policies",
    "usage policy", "usage guidelines", "safety", "unsafe", "inappropriate", "harmful", "sensitive", "safety system",
    "policy violation",
];

pub(super) const TABLE: &[Row] = &[
    row(Missing, &[MISSING]),
    row(Request, &[BAD_REQUEST]),
    row(Content, &[TEXT, OBJECTIONABLE]),
];
