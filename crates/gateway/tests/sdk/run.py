"""The official Python SDKs against the gateway on its simulated providers.

    run.py ORIGIN TOKEN

ORIGIN is where the gateway listens, TOKEN what it asks for. `.ci/sdk` does the rest.
"""

import sys

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

ORIGIN, TOKEN = sys.argv[1:]
WORDS = "quick brown fox"
ASK = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}]

# Where the OpenAI SDK can be pointed at, the model to name there, and what is offered beside chat.
COMPATIBLE = [
    ("/v1", "gpt-4o", "openai", {"embeddings", "models", "responses"}),
    ("/openai/v1", "gpt-4o", "openai", {"embeddings", "models", "responses"}),
    ("/anthropic/v1", "claude-sonnet-5-5", "anthropic", set()),
    ("/gemini/v1beta/openai", "gemini-2.5-flash", "gemini", {"embeddings", "models"}),
]


def expect(kind, act):
    """What `act` fails with, which has to be a `kind`."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def openai_client(path, token=TOKEN, retries=2):
    return openai.OpenAI(base_url=ORIGIN + path, api_key=token, max_retries=retries)


def openai_chat(path, model, provider, _):
    raw = openai_client(path).chat.completions.with_raw_response.create(model=model, messages=ASK)
    answer = raw.parse()
    assert WORDS in answer.choices[0].message.content, answer
    assert answer.usage.total_tokens > 0, answer
    assert raw.headers["x-served-by"].startswith(provider + "/"), raw.headers
    assert int(raw.headers["x-attempts"]) >= 1, raw.headers


def openai_stream(path, model, _, __):
    stream = openai_client(path).chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert WORDS in text, text
    assert any(chunk.choices and chunk.choices[0].finish_reason == "stop" for chunk in chunks)
    assert any(chunk.usage and chunk.usage.total_tokens > 0 for chunk in chunks)


def openai_tools(path, model, _, __):
    client = openai_client(path)
    message = client.chat.completions.create(model=model, messages=ASK, tools=TOOLS).choices[0].message
    call = message.tool_calls[0]
    assert call.function.name == "look_up" and "topic" in call.function.arguments, message
    result = {"role": "tool", "tool_call_id": call.id, "content": "foxes are quick"}
    answer = client.chat.completions.create(
        model=model, messages=[*ASK, message.model_dump(exclude_none=True), result], tools=TOOLS
    )
    assert WORDS in answer.choices[0].message.content, answer
    chunks = client.chat.completions.create(model=model, messages=ASK, tools=TOOLS, stream=True)
    deltas = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert any(delta.function.name == "look_up" for delta in deltas), deltas
    assert "topic" in "".join(delta.function.arguments or "" for delta in deltas), deltas


def openai_others(path, model, _, offered):
    client = openai_client(path)
    if "embeddings" in offered:
        answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
        assert len(answer.data) == 2 and len(answer.data[0].embedding) > 0, answer
    if "models" in offered:
        assert len(list(client.models.list())) > 0
    if "responses" in offered:
        assert WORDS in client.responses.create(model=model, input="hi").output_text
        events = list(client.responses.create(model=model, input="hi", stream=True))
        assert events[-1].type == "response.completed", events[-1]


def openai_errors(path, model, _, __):
    client = openai_client(path, retries=0)
    error = expect(openai.BadRequestError, lambda: client.chat.completions.create(model=None, messages=ASK))
    assert error.status_code == 400 and error.response.headers["x-attempts"] == "1", error.response.headers
    expect(openai.NotFoundError, lambda: client.post("/nothing", cast_to=object, body={}))
    wrong = openai_client(path, token="wrong", retries=0)
    expect(openai.AuthenticationError, lambda: wrong.chat.completions.create(model=model, messages=ASK))


def anthropic_client(token=TOKEN, retries=2):
    return anthropic.Anthropic(base_url=ORIGIN + "/anthropic", api_key=token, max_retries=retries)


def anthropic_native():
    client = anthropic_client()
    ask = {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": ASK}
    raw = client.messages.with_raw_response.create(**ask)
    assert WORDS in raw.parse().content[0].text and raw.headers["x-served-by"].startswith("anthropic/")
    with client.messages.stream(**ask) as stream:
        assert WORDS in "".join(stream.text_stream)
        assert stream.get_final_message().stop_reason == "end_turn"
    tool = {"name": "look_up", "input_schema": SCHEMA}
    answer = client.messages.create(**ask, tools=[tool])
    assert answer.stop_reason == "tool_use" and answer.content[0].input["topic"], answer
    with client.messages.stream(**ask, tools=[tool]) as stream:
        assert stream.get_final_message().content[0].input["topic"]
    assert client.messages.count_tokens(model=ask["model"], messages=ASK).input_tokens > 0
    bearer = anthropic.Anthropic(base_url=ORIGIN + "/anthropic", auth_token=TOKEN)
    assert WORDS in bearer.messages.create(**ask).content[0].text


def anthropic_errors():
    client = anthropic_client(retries=0)
    ask = {"max_tokens": 64, "messages": ASK}
    expect(anthropic.BadRequestError, lambda: client.messages.create(**ask, model=None))
    expect(anthropic.NotFoundError, lambda: client.post("/v1/nothing", cast_to=object, body={}))
    wrong = anthropic_client(token="wrong", retries=0)
    expect(anthropic.AuthenticationError, lambda: wrong.messages.create(**ask, model="claude-sonnet-5-5"))


def genai_client(token=TOKEN):
    return genai.Client(api_key=token, http_options=types.HttpOptions(base_url=ORIGIN + "/gemini"))


def genai_native():
    client = genai_client()
    models = client.models
    model = "gemini-2.5-flash"
    answer = models.generate_content(model=model, contents="hi")
    assert WORDS in answer.text and answer.usage_metadata.total_token_count > 0, answer
    chunks = list(models.generate_content_stream(model=model, contents="hi"))
    assert WORDS in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    function = types.FunctionDeclaration(name="look_up", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[function])])
    answer = models.generate_content(model=model, contents="hi", config=config)
    assert answer.function_calls[0].name == "look_up" and answer.function_calls[0].args["topic"], answer
    assert models.count_tokens(model=model, contents="hi").total_tokens > 0


def genai_fails():
    client = genai_client()
    error = expect(genai_errors.ClientError, lambda: client.models.generate_content(model="m:x", contents="hi"))
    assert error.code == 404, error
    wrong = genai_client(token="wrong")
    error = expect(genai_errors.ClientError, lambda: wrong.models.generate_content(model="m", contents="hi"))
    assert error.code == 401, error


def main():
    for place in COMPATIBLE:
        for check in [openai_chat, openai_stream, openai_tools, openai_others, openai_errors]:
            check(*place)
            print(f"ok  {check.__name__:15} {place[0]}")
    for check in [anthropic_native, anthropic_errors, genai_native, genai_fails]:
        check()
        print(f"ok  {check.__name__}")


main()
