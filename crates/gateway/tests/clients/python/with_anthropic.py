"""The official Anthropic SDK."""

import io

import anthropic
from checks import SCHEMA, WORDS, expect, run

ASK = {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"name": "look_up", "input_schema": SCHEMA}


def client(place, retries=2, path="/anthropic"):
    return anthropic.Anthropic(base_url=place.origin + path, api_key=place.token, max_retries=retries)


def chat(place):
    raw = client(place).messages.with_raw_response.create(**ASK)
    assert WORDS in raw.parse().content[0].text and raw.headers["x-served-by"].startswith("anthropic/")
    assert client(place).messages.count_tokens(model=ASK["model"], messages=ASK["messages"]).input_tokens > 0
    # The origin alone is enough for this API, and a token may be sent as a bearer token.
    bearer = anthropic.Anthropic(base_url=place.origin, auth_token=place.token)
    assert WORDS in bearer.messages.create(**ASK).content[0].text


def stream(place):
    with client(place).messages.stream(**ASK) as stream:
        assert WORDS in "".join(stream.text_stream)
        assert stream.get_final_message().stop_reason == "end_turn"


def tools(place):
    api = client(place)
    answer = api.messages.create(**ASK, tools=[TOOL])
    assert answer.stop_reason == "tool_use" and answer.content[0].input["topic"], answer
    result = {"type": "tool_result", "tool_use_id": answer.content[0].id, "content": "foxes are quick"}
    turns = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    ask = {**ASK, "messages": [*ASK["messages"], *turns]}
    assert WORDS in api.messages.create(**ask, tools=[TOOL]).content[0].text
    with api.messages.stream(**ASK, tools=[TOOL]) as stream:
        assert stream.get_final_message().content[0].input["topic"]


def structured(place):
    choice = {"type": "tool", "name": "look_up"}
    answer = client(place).messages.create(**ASK, tools=[TOOL], tool_choice=choice)
    assert isinstance(answer.content[0].input["topic"], str), answer


def files(place):
    api = client(place)
    for _ in range(place.times):
        file = api.beta.files.upload(file=("a.txt", io.BytesIO(b"foxes"), "text/plain"))
        assert api.beta.files.retrieve_metadata(file.id).size_bytes == 5
        source = {"type": "document", "source": {"type": "file", "file_id": file.id}}
        ask = {**ASK, "messages": [{"role": "user", "content": [source]}]}
        assert WORDS in api.beta.messages.create(**ask, betas=["files-api-2025-04-14"]).content[0].text
        api.beta.files.delete(file.id)
        batch = api.messages.batches.create(requests=[{"custom_id": "1", "params": ASK}])
        assert api.messages.batches.retrieve(batch.id).processing_status == "ended"
        results = list(api.messages.batches.results(batch.id))
        assert WORDS in results[0].result.message.content[0].text, results


def errors(place):
    api = client(place, retries=0)
    ask = {"max_tokens": 64, "messages": ASK["messages"]}
    expect(anthropic.BadRequestError, lambda: api.messages.create(**ask, model=None))
    expect(anthropic.NotFoundError, lambda: api.messages.create(**ask, model="no-such-model"))
    expect(anthropic.NotFoundError, lambda: api.post("/v1/nothing", cast_to=object, body={}))
    expect(anthropic.AuthenticationError, lambda: client(place.wrong()).messages.create(**ASK))


def cancel(place):
    with client(place).messages.stream(**ASK) as stream:
        next(stream.text_stream)
    assert place.is_idle()
    chat(place)


def retries(place):
    for _ in range(2):
        assert WORDS in client(place).messages.create(**ASK).content[0].text


CHECKS = dict(
    chat=chat, stream=stream, tools=tools, structured=structured, files=files, errors=errors, cancel=cancel,
    retries=retries,
)
run("anthropic", CHECKS)
