"""The official OpenAI SDK, at every path with OpenAI's API."""

import io
import time

import openai
from checks import SCHEMA, WORDS, expect, run
from pydantic import BaseModel
from websockets.exceptions import ConnectionClosed, InvalidStatus

ASK = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}]
# Where the SDK can be pointed at, the model to name there, and the provider that serves it.
PATHS = [
    ("/v1", "gpt-4o", "openai"),
    ("/openai/v1", "gpt-4o", "openai"),
    ("/anthropic/v1", "claude-sonnet-5-5", "anthropic"),
    ("/gemini/v1beta/openai", "gemini-2.5-flash", "gemini"),
]


class Topic(BaseModel):
    topic: str


class Slow(io.BytesIO):
    """A file whose pieces of 64 KiB each take half a second."""

    def read(self, size=-1):
        time.sleep(0.5)
        return super().read(size)


def client(place, path="/v1", retries=2):
    return openai.OpenAI(base_url=place.origin + path, api_key=place.token, max_retries=retries)


def chat(place):
    for path, model, provider in PATHS:
        raw = client(place, path).chat.completions.with_raw_response.create(model=model, messages=ASK)
        answer = raw.parse()
        assert WORDS in answer.choices[0].message.content, answer
        assert answer.usage.total_tokens > 0, answer
        assert raw.headers["x-served-by"].startswith(provider + "/"), raw.headers
        assert int(raw.headers["x-attempts"]) >= 1, raw.headers
    several = client(place).chat.completions.create(model="gpt-4o", messages=ASK, n=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2], several
    assert WORDS in client(place).responses.create(model="gpt-4o", input="hi").output_text
    assert len(list(client(place).models.list())) > 0


def stream(place):
    for path, model, _ in PATHS:
        options = {"include_usage": True}
        stream = client(place, path).chat.completions.create(
            model=model, messages=ASK, stream=True, stream_options=options
        )
        chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert WORDS in text, text
        assert any(chunk.choices and chunk.choices[0].finish_reason == "stop" for chunk in chunks)
        assert any(chunk.usage and chunk.usage.total_tokens > 0 for chunk in chunks)
    events = list(client(place).responses.create(model="gpt-4o", input="hi", stream=True))
    assert events[-1].type == "response.completed", events[-1]


def tools(place):
    for path, model, _ in PATHS:
        api = client(place, path)
        message = api.chat.completions.create(model=model, messages=ASK, tools=TOOLS).choices[0].message
        call = message.tool_calls[0]
        assert call.function.name == "look_up" and "topic" in call.function.arguments, message
        result = {"role": "tool", "tool_call_id": call.id, "content": "foxes are quick"}
        answer = api.chat.completions.create(
            model=model, messages=[*ASK, message.model_dump(exclude_none=True), result], tools=TOOLS
        )
        assert WORDS in answer.choices[0].message.content, answer
        chunks = api.chat.completions.create(model=model, messages=ASK, tools=TOOLS, stream=True)
        deltas = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
        assert any(delta.function.name == "look_up" for delta in deltas), deltas
        assert "topic" in "".join(delta.function.arguments or "" for delta in deltas), deltas


def structured(place):
    api = client(place)
    answer = api.chat.completions.parse(model="gpt-4o", messages=ASK, response_format=Topic)
    assert answer.choices[0].message.parsed.topic, answer
    assert api.responses.parse(model="gpt-4o", input="hi", text_format=Topic).output_parsed.topic


def embeddings(place):
    for path, model in [("/v1", "text-embedding-3-small"), ("/gemini/v1beta/openai", "gemini-embedding-001")]:
        answer = client(place, path).embeddings.create(model=model, input=["one", "two"])
        assert len(answer.data) == 2 and len(answer.data[0].embedding) > 0, answer


def files(place):
    api = client(place)
    line = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o","messages":[]}}\n'
    for _ in range(place.times):
        file = api.files.create(file=("lines.jsonl", io.BytesIO(line)), purpose="batch")
        assert api.files.retrieve(file.id).id == file.id
        assert api.files.content(file.id).read() == line
        batch = api.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        batch = api.batches.retrieve(batch.id)
        assert batch.status == "completed", batch
        assert WORDS in api.files.content(batch.output_file_id).text
        assert api.files.delete(file.id).deleted


def state(place):
    api = client(place)
    for _ in range(place.times):
        first = api.responses.create(model="gpt-5", input="hi")
        assert api.responses.create(model="gpt-5", input="more", previous_response_id=first.id).output_text
        assert api.responses.retrieve(first.id).id == first.id
        conversation = api.conversations.create()
        assert api.responses.create(model="gpt-5", input="hi", conversation=conversation.id).output_text
        secret = {"model": "gpt-5", "store": False, "include": ["reasoning.encrypted_content"]}
        first = api.responses.create(**secret, input="hi")
        items = [item.model_dump(exclude_none=True, exclude={"id"}) for item in first.output]
        assert any(item["type"] == "reasoning" for item in items), items
        ask = {"role": "user", "content": "more"}
        assert api.responses.create(**secret, input=[{"role": "user", "content": "hi"}, *items, ask]).output_text


def errors(place):
    for path, model, _ in PATHS:
        api = client(place, path, retries=0)
        error = expect(openai.BadRequestError, lambda: api.chat.completions.create(model=None, messages=ASK))
        assert error.status_code == 400 and error.response.headers["x-attempts"] == "1", error.response.headers
        expect(openai.NotFoundError, lambda: api.chat.completions.create(model="no-such-model", messages=ASK))
        expect(openai.NotFoundError, lambda: api.post("/nothing", cast_to=object, body={}))
        wrong = client(place.wrong(), path)
        expect(openai.AuthenticationError, lambda: wrong.chat.completions.create(model=model, messages=ASK))


def cancel(place):
    stream = client(place).chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
    next(stream)
    stream.close()
    assert place.is_idle()
    chat(place)


def retries(place):
    api = client(place)
    for _ in range(2):
        assert WORDS in api.chat.completions.create(model="gpt-4o", messages=ASK).choices[0].message.content


def slow_upload(place):
    """The caller's own time does not count as the provider's."""
    content = b'{"custom_id":"one","method":"POST","url":"/v1/chat/completions","body":{}}\n' * 6000
    began = time.monotonic()
    files = client(place, retries=0).files
    raw = files.with_raw_response.create(file=("slow.jsonl", Slow(content)), purpose="batch")
    assert time.monotonic() - began > 2, "the upload is slower than the limit"
    assert raw.headers["x-attempts"] == "1", raw.headers
    assert files.content(raw.parse().id).read() == content


def said(connection, end):
    """The text of a response over a WebSocket."""
    text = ""
    for event in connection:
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == end:
            return text
    raise AssertionError(f"no {end}")


def spoken(connection):
    """What a Realtime session says to a text: the simulator says the same."""
    content = [{"type": "input_text", "text": "a fox"}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    connection.response.create()
    return said(connection, "response.done")


def websocket(place):
    api = client(place)
    for _ in range(place.times):
        with api.realtime.connect(model="gpt-realtime") as connection:
            assert spoken(connection) == "a fox" and spoken(connection) == "a fox"
            connection.close(code=1000)
            error = expect(ConnectionClosed, connection.recv)
            assert error.rcvd.code == 1000, error
        with api.responses.connect() as connection:
            connection.response.create(model="gpt-4o", input="a fox")
            assert said(connection, "response.completed") == "a fox"
    for wrong in [client(place.wrong()).realtime.connect(model="gpt-realtime"), client(place.wrong()).responses.connect()]:
        assert expect(InvalidStatus, wrong.enter).response.status_code == 401
    # A client that gives up in the middle of a response frees its place.
    connection = api.realtime.connect(model="gpt-realtime").enter()
    connection.response.create()
    connection.recv()
    connection.close()
    assert place.is_idle()


def rotation(place):
    """A handshake that a key refuses is sent again with the next key."""
    for _ in range(4):
        with client(place).realtime.connect(model="gpt-realtime") as connection:
            assert spoken(connection) == "a fox"


CHECKS = dict(
    chat=chat, stream=stream, tools=tools, structured=structured, embeddings=embeddings, files=files,
    state=state, errors=errors, cancel=cancel, retries=retries, websocket=websocket, rotation=rotation,
    **{"slow upload": slow_upload},
)
run("openai", CHECKS)
