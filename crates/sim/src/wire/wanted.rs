//! The kind of output that a request asks for: a call of a tool, JSON of a schema, or text.

use serde_json::{Value, json};

use super::named::either;

/// The output that a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted<'a> {
    Text,
    /// JSON of this schema.
    Json(Value),
    /// One of the values of this schema, without quotes.
    Choice(&'a Value),
    /// A call of this tool, whose arguments have this schema.
    Call(&'a str, &'a Value),
}

/// A tool that the provider does not run itself.
struct Tool<'a> {
    name: &'a str,
    schema: &'a Value,
}

/// The tool choice of a request.
enum ToolChoice<'a> {
    Never,
    /// A call, unless the conversation ends with a tool's result. The response to it is text: another call would
    /// keep a caller that runs tools in a loop busy forever.
    Auto,
    /// A call in any case.
    Required,
    /// A call of one of these tools in any case.
    OneOf(Vec<&'a str>),
}

// === impl Wanted ===

impl<'a> Wanted<'a> {
    /// Reads the body of a request, in any of the formats.
    pub(super) fn of(body: &'a Value) -> Self {
        match called(body) {
            Some(tool) => Self::Call(tool.name, tool.schema),
            None => format(body),
        }
    }
}

/// Returns the tool that the response calls.
fn called(body: &Value) -> Option<Tool<'_>> {
    let mut tools = tools(body);
    match choice(body) {
        ToolChoice::Never => return None,
        ToolChoice::Auto if ends_with_tool_result(body) => return None,
        ToolChoice::Auto => return tools.into_iter().next(),
        ToolChoice::OneOf(names) => tools.retain(|tool| names.contains(&tool.name)),
        ToolChoice::Required => {}
    }
    // A caller that asks for a call each time gets to the tool with which its loop ends.
    let before = names_of_calls(body);
    let fresh = tools.iter().position(|tool| !before.contains(&tool.name));
    let at = fresh.unwrap_or_else(|| tools.len().saturating_sub(1));
    tools.into_iter().nth(at)
}

fn tools(body: &Value) -> Vec<Tool<'_>> {
    let listed = list(&body["tools"]).iter().chain(list(&body["functions"]));
    listed.flat_map(|tool| of_gemini(tool).or_else(|| of_others(tool)).unwrap_or_default()).collect()
}

/// Returns the functions of one of Gemini's tools, which holds several.
fn of_gemini(tool: &Value) -> Option<Vec<Tool<'_>>> {
    let functions = list(either(tool, "functionDeclarations", "function_declarations"));
    let read = |function| named(function, &["parameters", "parametersJsonSchema", "parameters_json_schema"]);
    (!functions.is_empty()).then(|| functions.iter().filter_map(read).collect())
}

/// Returns a tool of the other formats. Tools that the provider runs itself, such as searches, have no name or
/// a type of their own.
fn of_others(tool: &Value) -> Option<Vec<Tool<'_>>> {
    let kind = tool["type"].as_str().unwrap_or("function");
    let function = if tool["function"].is_object() { &tool["function"] } else { tool };
    let ours = kind == "function" || function["input_schema"].is_object();
    named(function, &["parameters", "input_schema"]).filter(|_| ours).map(|tool| vec![tool])
}

fn named<'a>(function: &'a Value, schemas: &[&str]) -> Option<Tool<'a>> {
    let name = function["name"].as_str()?;
    let schema = schemas.iter().map(|key| &function[*key]).find(|schema| !schema.is_null());
    Some(Tool { name, schema: schema.unwrap_or(&Value::Null) })
}

fn choice(body: &Value) -> ToolChoice<'_> {
    let config = either(body, "toolConfig", "tool_config");
    let config = either(config, "functionCallingConfig", "function_calling_config");
    let choice = [&body["tool_choice"], &body["function_call"], &config["mode"]];
    let choice = choice.into_iter().find(|choice| !choice.is_null()).unwrap_or(&Value::Null);
    let named = choice["name"].as_str().or_else(|| choice["function"]["name"].as_str());
    if let Some(name) = named {
        return ToolChoice::OneOf(vec![name]);
    }
    let allowed = list(either(config, "allowedFunctionNames", "allowed_function_names"));
    let kind = choice["mode"].as_str().or_else(|| choice["type"].as_str()).or_else(|| choice.as_str());
    match kind.unwrap_or("auto").to_lowercase().as_str() {
        "none" => ToolChoice::Never,
        "any" if !allowed.is_empty() => ToolChoice::OneOf(allowed.iter().filter_map(Value::as_str).collect()),
        "any" | "required" => ToolChoice::Required,
        _ => ToolChoice::Auto,
    }
}

fn ends_with_tool_result(body: &Value) -> bool {
    let last = |name: &str| list(&body[name]).last().unwrap_or(&Value::Null);
    let message = last("messages");
    let has = |list_of: &Value, is: fn(&Value) -> bool| list(list_of).iter().any(is);
    matches!(message["role"].as_str(), Some("tool" | "function"))
        || has(&message["content"], |block| block["type"] == "tool_result")
        || has(&last("contents")["parts"], |part| {
            !either(part, "functionResponse", "function_response").is_null()
        })
        || last("input")["type"] == "function_call_output"
}

/// Returns the names of the tools that the conversation has called.
fn names_of_calls(body: &Value) -> Vec<&str> {
    let messages = list(&body["messages"]).iter();
    let of_chat = messages.clone().flat_map(|it| list(&it["tool_calls"])).map(|it| &it["function"]["name"]);
    let blocks = messages.flat_map(|it| list(&it["content"]));
    let of_blocks = blocks.filter(|it| it["type"] == "tool_use").map(|it| &it["name"]);
    let items = list(&body["input"]).iter();
    let of_items = items.filter(|it| it["type"] == "function_call").map(|it| &it["name"]);
    let parts = list(&body["contents"]).iter().flat_map(|it| list(&it["parts"]));
    let of_parts = parts.map(|it| &either(it, "functionCall", "function_call")["name"]);
    of_chat.chain(of_blocks).chain(of_items).chain(of_parts).filter_map(Value::as_str).collect()
}

/// Returns the output without a tool.
fn format(body: &Value) -> Wanted<'_> {
    let config = either(body, "generationConfig", "generation_config");
    let schemas = ["responseJsonSchema", "response_json_schema", "responseSchema", "response_schema"];
    let schema = schemas.into_iter().map(|name| &config[name]).find(|schema| !schema.is_null());
    let mime = either(config, "responseMimeType", "response_mime_type").as_str();
    match (mime, schema) {
        (Some("text/x.enum"), Some(schema)) => return Wanted::Choice(schema),
        (_, Some(schema)) => return Wanted::Json(schema.clone()),
        (Some("application/json"), None) => return Wanted::Json(any_object()),
        _ => {}
    }
    let output = &body["output_config"]["format"];
    let formats = [&body["response_format"], &body["text"]["format"], &body["output_format"], output];
    let format = formats.into_iter().find(|format| format.is_object()).unwrap_or(&Value::Null);
    match format["type"].as_str() {
        Some("json_object") => Wanted::Json(any_object()),
        Some("json_schema") => {
            let wrapped = &format["json_schema"]["schema"];
            Wanted::Json(if wrapped.is_null() { &format["schema"] } else { wrapped }.clone())
        }
        _ => Wanted::Text,
    }
}

/// Returns the schema of the JSON mode, which knows only that an object is wanted.
fn any_object() -> Value {
    json!({"type": "object", "properties": {"text": {"type": "string", "minLength": 8}}})
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
