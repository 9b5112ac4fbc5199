"""LiteLLM as a library, with the three providers."""

import json

import litellm
from checks import SCHEMA, WORDS, expect, run

TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}]
ASK = [{"role": "user", "content": "hi"}]
MODELS = [("openai/gpt-4o", "/v1"), ("anthropic/claude-sonnet-5-5", "/anthropic"), ("gemini/gemini-2.5-flash", "/gemini")]
litellm.suppress_debug_info = True


def ask(place, model, path, **more):
    return litellm.completion(model=model, api_base=place.origin + path, api_key=place.token, messages=ASK, **more)


def chat(place):
    for model, path in MODELS:
        answer = ask(place, model, path)
        assert WORDS in answer.choices[0].message.content and answer.usage.total_tokens > 0, answer


def stream(place):
    for model, path in MODELS:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(place, model, path, stream=True))
        assert WORDS in text, (model, text)


def tools(place):
    for model, path in MODELS:
        call = ask(place, model, path, tools=TOOLS).choices[0].message.tool_calls[0]
        assert json.loads(call.function.arguments)["topic"], call


def structured(place):
    schema = {"type": "json_schema", "json_schema": {"name": "topic", "schema": {**SCHEMA, "additionalProperties": False}}}
    for model, path in MODELS:
        content = ask(place, model, path, response_format=schema).choices[0].message.content
        assert json.loads(content)["topic"], (model, content)


def embeddings(place):
    answer = litellm.embedding(
        model="openai/text-embedding-3-small", api_base=place.origin + "/v1", api_key=place.token, input=["one", "two"]
    )
    assert len(answer.data) == 2, answer


def errors(place):
    for model, path in MODELS:
        expect(litellm.AuthenticationError, lambda: ask(place.wrong(), model, path))
        unknown = model.split("/")[0] + "/no-such-model"
        expect(litellm.NotFoundError, lambda: ask(place, unknown, path))


def cancel(place):
    stream = iter(ask(place, *MODELS[0], stream=True))
    next(stream)
    stream.completion_stream.close()
    assert place.is_idle()
    chat(place)


def retries(place):
    for model, path in MODELS:
        for _ in range(2):
            assert WORDS in ask(place, model, path, num_retries=4, retry_strategy="exponential_backoff_retry").choices[0].message.content


CHECKS = dict(
    chat=chat, stream=stream, tools=tools, structured=structured, embeddings=embeddings, errors=errors,
    cancel=cancel, retries=retries,
)
run("litellm", CHECKS)
