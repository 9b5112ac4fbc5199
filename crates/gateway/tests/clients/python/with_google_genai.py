"""The official Google Gen AI SDK."""

import asyncio
import io
import json

from checks import SCHEMA, WORDS, expect, run
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

MODEL = "gemini-2.5-flash"


def client(place, path="/gemini"):
    # A client has to be kept: it closes its connections when it is collected.
    options = types.HttpOptions(
        base_url=place.origin + path, retry_options=types.HttpRetryOptions(attempts=4, initial_delay=0.5)
    )
    return genai.Client(api_key=place.token, http_options=options)


def chat(place):
    # The origin alone is enough for this API.
    for path in ["/gemini", ""]:
        api = client(place, path)
        answer = api.models.generate_content(model=MODEL, contents="hi")
        assert WORDS in answer.text and answer.usage_metadata.total_token_count > 0, answer
    assert api.models.count_tokens(model=MODEL, contents="hi").total_tokens > 0
    assert any(model.name == f"models/{MODEL}" for model in api.models.list())


def stream(place):
    api = client(place)
    chunks = list(api.models.generate_content_stream(model=MODEL, contents="hi"))
    assert WORDS in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def tools(place):
    function = types.FunctionDeclaration(name="look_up", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[function])])
    api = client(place)
    answer = api.models.generate_content(model=MODEL, contents="hi", config=config)
    assert answer.function_calls[0].name == "look_up" and answer.function_calls[0].args["topic"], answer


def structured(place):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA)
    api = client(place)
    answer = api.models.generate_content(model=MODEL, contents="hi", config=config)
    assert isinstance(json.loads(answer.text)["topic"], str), answer


def embeddings(place):
    api = client(place)
    answer = api.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    assert len(answer.embeddings) == 2 and len(answer.embeddings[0].values) > 0, answer


def files(place):
    api = client(place)
    for _ in range(place.times):
        config = types.UploadFileConfig(mime_type="text/plain", display_name="foxes")
        file = api.files.upload(file=io.BytesIO(b"foxes"), config=config)
        assert api.files.get(name=file.name).size_bytes == 5
        assert WORDS in api.models.generate_content(model=MODEL, contents=["about", file]).text
        cache = api.caches.create(model=MODEL, config=types.CreateCachedContentConfig(contents=["about"]))
        config = types.GenerateContentConfig(cached_content=cache.name)
        assert WORDS in api.models.generate_content(model=MODEL, contents="hi", config=config).text
        api.caches.delete(name=cache.name)
        requests = [types.InlinedRequest(contents=[types.Content(role="user", parts=[types.Part(text="hi")])])]
        batch = api.batches.create(model=MODEL, src=requests)
        batch = api.batches.get(name=batch.name)
        assert batch.state == types.JobState.JOB_STATE_SUCCEEDED, batch
        assert WORDS in batch.dest.inlined_responses[0].response.text, batch
        api.files.delete(name=file.name)


def errors(place):
    api = client(place)
    error = expect(genai_errors.ClientError, lambda: api.models.generate_content(model="no-such-model", contents="hi"))
    assert error.code == 404, error
    wrong = client(place.wrong())
    error = expect(genai_errors.ClientError, lambda: wrong.models.generate_content(model=MODEL, contents="hi"))
    assert error.code == 401, error


def cancel(place):
    api = client(place)
    stream = api.models.generate_content_stream(model=MODEL, contents="hi")
    next(stream)
    stream.close()
    assert place.is_idle()
    chat(place)


def retries(place):
    api = client(place)
    for _ in range(2):
        assert WORDS in api.models.generate_content(model=MODEL, contents="hi").text


async def live(place, token):
    # The SDK opens WebSockets with TLS only.
    api = genai.Client(api_key=token, http_options=types.HttpOptions(base_url=f"{place.secure}/gemini"))
    async with api.aio.live.connect(model="gemini-live-2.5-flash", config={"response_modalities": ["TEXT"]}) as session:
        for _ in range(2):
            turn = {"role": "user", "parts": [{"text": "a fox"}]}
            await session.send_client_content(turns=turn, turn_complete=True)
            text = ""
            async for message in session.receive():
                text += message.text or ""
            assert text == "a fox", text


def websocket(place):
    for _ in range(place.times):
        asyncio.run(live(place, place.token))
    error = expect(Exception, lambda: asyncio.run(live(place, "wrong-token")))
    assert "401" in str(error), error
    assert place.is_idle()


CHECKS = dict(
    chat=chat, stream=stream, tools=tools, structured=structured, embeddings=embeddings, files=files,
    errors=errors, cancel=cancel, retries=retries, websocket=websocket,
)
run("google-genai", CHECKS)
