//! Ordinary rejections and successes are not taken for faults, whatever words they contain.
#![allow(clippy::unwrap_used)]

mod classify_support;

use bytes::Bytes;
use classify_support::{NOW, ask, head, provider, stream};
use serde_json::{Value, json};
use tower_key_rotation::body::sse::Event;
use tower_key_rotation::classify::{Fault, Outcome, Verdict};

/// Messages of rejections, with a status and a code as they come.
const MESSAGES: &[(u16, &str, &str)] = &[
    // Too long.
    (
        400,
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 140312 tokens. Please reduce the length of the messages.",
    ),
    (400, "invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum"),
    (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
    ),
    (413, "request_too_large", "Request exceeds the maximum size"),
    (
        400,
        "invalid_request",
        "max_tokens is too large: 200000. This model supports at most 16384 completion tokens, whereas you provided 200000.",
    ),
    (
        400,
        "string_above_max_length",
        "Invalid 'messages[1].content': string too long. Expected a string with maximum length 10485760, but got a string with length 12582912 instead.",
    ),
    (400, "InvalidParameter", "Range of input length should be [1, 98304]"),
    (400, "1261", "Prompt 超长"),
    (400, "invalid_request_error", "当前请求上下文长度超过最大限制 131072"),
    // Budgets of tokens.
    (400, "invalid_request_error", "Budget tokens exceeded the maximum of 24576."),
    (400, "INVALID_ARGUMENT", "The reasoning budget was exceeded: 32768 tokens at most."),
    (400, "invalid_request_error", "All 8192 tokens of the budget were spent on thinking tokens."),
    // Text of the request that is cut off.
    (
        400,
        "invalid_request_error",
        "Unterminated string at column 20: {\"q\": \"your balance is insufficient, please rec",
    ),
    (
        422,
        "string_too_long",
        "A tool's description has at most 1024 characters: \"Tells that the quota is exceeded and the",
    ),
    // Parameters and schemas.
    (
        400,
        "unsupported_parameter",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ),
    (
        400,
        "unsupported_value",
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
    ),
    (400, "unknown_parameter", "Unknown parameter: 'billing_plan'."),
    (
        400,
        "invalid_type",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.",
    ),
    (
        400,
        "invalid_function_parameters",
        "Invalid schema for function 'get_credit_balance': In context=(), 'additionalProperties' is required to be supplied and to be false.",
    ),
    (
        400,
        "invalid_request_error",
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    (400, "invalid_request_error", "messages: at least one message is required"),
    (
        400,
        "invalid_request_error",
        "messages: roles must alternate between \"user\" and \"assistant\", but found multiple \"user\" roles in a row",
    ),
    (
        400,
        "invalid_request_error",
        "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
    ),
    (
        400,
        "invalid_request_error",
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
    ),
    (
        400,
        "INVALID_ARGUMENT",
        "Invalid JSON payload received. Unknown name \"quota_project\" at 'generation_config': Cannot find field.",
    ),
    (400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified"),
    (400, "INVALID_ARGUMENT", "Function calling is not enabled for models/gemma-3-27b-it"),
    (
        400,
        "invalid_json",
        "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.",
    ),
    (
        400,
        "invalid_image_format",
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp'].",
    ),
    (400, "invalid_value", "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'."),
    (
        400,
        "json_validate_failed",
        "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.",
    ),
    (400, "tool_use_failed", "Failed to call a function. Please adjust your prompt."),
    (400, "BadRequestError", "Conversation roles must alternate user/assistant/user/assistant/..."),
    (
        400,
        "invalid_request_error",
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
    ),
    (400, "1210", "API 调用参数有误，请检查文档。"),
    (400, "InvalidParameter", "参数不合法：temperature 必须在 0 和 2 之间"),
    (422, "unprocessable_entity", "Input should be a valid string"),
    (422, "validation_error", "Value error, top_k must be greater than 0"),
    (415, "unsupported_media_type", "Unsupported Media Type: expected application/json"),
    (400, "invalid_base64", "Could not process image: invalid base64 data"),
    (409, "conflict", "A response with this id already exists."),
    (405, "method_not_supported", "Not allowed to POST on /v1/models."),
    // Not found.
    (404, "model_not_found", "The model `gpt-9` does not exist or you do not have access to it."),
    (404, "model_not_found", "The requested model 'claude-sonet' does not exist."),
    (404, "not_found_error", "model: claude-3-opus-latest"),
    (
        404,
        "NOT_FOUND",
        "models/gemini-9 is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.",
    ),
    (
        404,
        "model_not_found",
        "The model `gpt-3.5-turbo-0613` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations",
    ),
    (
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
    ),
    (404, "404", "No endpoints found for acme/unknown-model."),
    (
        404,
        "404",
        "No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing",
    ),
    (404, "invalid_request_error", "No such File object: file-abc123"),
    (404, "unknown_url", "Unknown request URL: POST /v1/chat/completion. Please check the URL for typos."),
    (400, "invalid_model", "Invalid model: mistral-larg"),
    (400, "1211", "模型不存在，请检查模型代码。"),
    (
        404,
        "ResourceNotFoundException",
        "This model version has reached the end of its life. Please refer to the AWS documentation for more details.",
    ),
    (400, "ValidationException", "The provided model identifier is invalid."),
    (
        400,
        "model_decommissioned",
        "The model `llama-3.1-70b-versatile` has been decommissioned and is no longer supported. Please refer to https://console.groq.com/docs/deprecations for a recommendation.",
    ),
    // Content.
    (
        400,
        "content_policy_violation",
        "Your request was rejected as a result of our safety system. Your prompt may contain text that is not allowed by our safety system.",
    ),
    (
        400,
        "content_filter",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    ),
    (400, "DataInspectionFailed", "Input data may contain inappropriate content."),
    (
        400,
        "1301",
        "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。",
    ),
    (
        400,
        "invalid_prompt",
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.",
    ),
    // Texts that mention quotas and money.
    (
        400,
        "invalid_value",
        "Invalid value: 'insufficient balance'. Supported values are: 'low', 'medium', and 'high'.",
    ),
    (
        400,
        "invalid_request_error",
        "messages.0.content.1: unexpected value; permitted: 'text' (given \"your weekly usage limit is reached, please top up\")",
    ),
    (
        400,
        "invalid_type",
        "Invalid type for 'metadata.quota_exceeded': expected a string, but got a boolean instead.",
    ),
    (400, "invalid_request_error", "Unrecognized request argument supplied: billing_balance"),
    (
        400,
        "invalid_request_error",
        "Failed to parse tool arguments: my account balance is insufficient and the bill is overdue",
    ),
    (
        400,
        "invalid_request_error",
        "Could not parse the last message as JSON: the monthly quota is exhausted, upgrade your plan",
    ),
    (
        400,
        "invalid_function",
        "Invalid schema for function 'cancel_subscription': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'.",
    ),
    (
        400,
        "invalid_request_error",
        "Tool `check_rate_limit` must not be called in parallel with `too_many_requests`",
    ),
    (422, "validation_error", "Field required: api_key_expired"),
    (400, "content_filter", "The prompt was flagged because it asks how to avoid an overdue payment."),
    (404, "not_found", "Collection “rate limit exceeded” not found"),
    (400, "invalid_request_error", "Unexpected field usage_limit_reached in the request body"),
    (404, "not_found", "Tool output for call 'your credit balance is too low' not found."),
    (400, "invalid_request_error", "expected an object with the key «余额不足», got null"),
];

/// Rejections that speak of other servers' refusals, or of a batch. AWS Bedrock has neither, and names the cause of an
/// error by such words.
const OF_OTHERS: &[(u16, &str, &str)] = &[
    (400, "invalid_request_error", "Too many requests in batch: at most 50000 are allowed."),
    (413, "invalid_request_error", "The batch contains too many requests (50001)."),
    // Failures of a server that the request names.
    (
        400,
        "invalid_image_url",
        "Unable to fetch the image: the remote server returned 429 Too Many Requests.",
    ),
    (
        424,
        "http_error",
        "Error retrieving tool list from MCP server: 'pay'. Http status code: 429 (Too Many Requests)",
    ),
    (424, "external_connector_error", "MCP server error: 401 unauthorized: invalid API key"),
];

type Shape = fn(u16, &str, &str) -> Value;

/// The shapes of error bodies, with a provider that sends them.
const SHAPES: &[(&str, Shape)] = &[
    (
        "openai",
        |_, code, message| json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}}),
    ),
    (
        "anthropic",
        |_, _, message| json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}, "request_id": "req_1"}),
    ),
    (
        "gemini",
        |status, _, message| json!([{"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}]),
    ),
    (
        "mistral",
        |_, _, message| json!({"object": "error", "message": message, "type": "invalid_request_error", "param": null, "code": "1500"}),
    ),
    ("cohere", |_, _, message| json!({"id": "0", "message": message})),
    ("bedrock", |_, _, message| json!({"message": message})),
    ("voyage", |_, _, message| json!({"detail": message})),
    ("dashscope", |_, code, message| json!({"code": code, "message": message, "request_id": "0"})),
    ("xai", |_, _, message| json!({"code": "Client specified an invalid argument", "error": message})),
    (
        "openrouter",
        |status, _, message| json!({"error": {"message": message, "code": status}, "user_id": "org"}),
    ),
    (
        "relay",
        |_, code, message| json!({"error": {"message": format!("{message} (request id: 2026)"), "type": "new_api_error", "param": "", "code": code}}),
    ),
    ("relay", |status, _, message| json!({"status": status, "title": "Bad Request", "detail": message})),
];

#[test]
fn ordinary_rejections_stay_rejections() {
    let count = rejected(MESSAGES, |_| true);
    assert!(count > 800);
}

#[test]
fn refusals_of_other_servers_stay_rejections() {
    rejected(OF_OTHERS, |name| name != "bedrock");
}

/// Asserts that these messages are rejections, in all shapes of the chosen providers, and returns their number.
fn rejected(messages: &[(u16, &str, &str)], chosen: fn(&str) -> bool) -> usize {
    let mut alarms = Vec::new();
    let mut count = 0;
    for (status, code, message) in messages {
        for (name, shape) in SHAPES.iter().filter(|(name, _)| chosen(name)) {
            let body = shape(*status, code, message).to_string();
            let outcome = Outcome::response(head(*status, &[]), Bytes::from(body.clone()), NOW);
            let verdict = ask(&provider(name), outcome);
            count += 1;
            if !matches!(verdict, Verdict::Rejected(_)) {
                let why = verdict.fault().and_then(Fault::why);
                alarms.push(format!("{name} {status} {body}: {verdict}, {why:?}"));
            }
        }
    }
    assert_eq!(alarms, Vec::<String>::new());
    count
}

/// A message that repeats the request in quotation marks has no other words that count.
#[test]
fn quoted_texts_are_no_evidence() {
    let texts = [
        "Your credit balance is too low",
        "You exceeded your current quota, please check your plan and billing details",
        "weekly usage limit reached, resets in 2 days",
        "余额不足，请充值",
        "the model is overloaded",
    ];
    let marks = [
        ("\"", "\""),
        ("'", "'"),
        ("`", "`"),
        ("«", "»"),
        ("\u{201c}", "\u{201d}"),
        ("\u{300c}", "\u{300d}"),
    ];
    for text in texts {
        for (open, close) in marks {
            let message = format!("Line 3: {open}{text}{close}");
            let shaped = SHAPES.iter().map(|(name, shape)| (*name, shape(400, "400", &message).to_string()));
            for (name, body) in shaped.chain([("anthropic", message.clone()), ("openai", message.clone())]) {
                let outcome = Outcome::response(head(400, &[]), Bytes::from(body.clone()), NOW);
                let verdict = ask(&provider(name), outcome);
                assert!(matches!(verdict, Verdict::Rejected(_)), "{name} {body}: {verdict}");
            }
        }
    }
}

#[test]
fn lists_of_validation_errors_stay_rejections() {
    for input in ["your quota is exceeded", "余额不足，请充值", "invalid api key", "overloaded"] {
        let body = json!({"detail": [{"type": "string_type", "loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string", "input": input}]});
        let outcome = Outcome::response(head(422, &[]), Bytes::from(body.to_string()), NOW);
        assert!(matches!(ask(&provider("relay"), outcome), Verdict::Rejected(_)), "{input}");
    }
}

#[test]
fn successes_stay_successes() {
    for text in [
        "Your credit balance is too low.",
        "You have reached your weekly usage limit. Resets in 2 days.",
        "error: insufficient_quota",
        "429 Too Many Requests",
        "余额不足，请充值",
        "The API key is invalid. {\"error\":{\"code\":\"rate_limit_exceeded\"}}",
    ] {
        for name in ["openai", "openrouter", "azure", "minimax", "bedrock", "anthropic", "relay"] {
            let body = json!({"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
            let outcome = Outcome::response(head(200, &[]), Bytes::from(body.to_string()), NOW);
            assert_eq!(ask(&provider(name), outcome), Verdict::Success, "{name}: {text}");
            let event = Event::new("", json!({"choices": [{"delta": {"content": text}}]}).to_string());
            let outcome = Outcome::streaming(head(200, &[]), Some(event), NOW);
            assert_eq!(ask(&provider(name), outcome), Verdict::Success, "{name}: {text}");
        }
    }
    let comments =
        ": HTTP_STATUS/429 rate limit exceeded\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
    assert_eq!(stream("dashscope", comments), ["success"]);
}
