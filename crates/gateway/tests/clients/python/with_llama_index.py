"""LlamaIndex, with its models of the three providers."""

from checks import WORDS, expect, run
from google.genai.types import HttpOptions
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

ASK = [ChatMessage(role="user", content="hi")]


class Topic(BaseModel):
    """A topic."""

    topic: str


def look_up(topic: str) -> str:
    """Looks up a topic."""
    return f"about {topic}"


def of_openai(place, model="gpt-4o"):
    return OpenAI(model=model, api_base=place.origin + "/v1", api_key=place.token)


def models(place):
    yield of_openai(place)
    yield Anthropic(model="claude-sonnet-4-5", base_url=place.origin + "/anthropic", api_key=place.token)
    options = HttpOptions(base_url=place.origin + "/gemini")
    yield GoogleGenAI(model="gemini-2.5-flash", api_key=place.token, http_options=options)


def chat(place):
    for model in models(place):
        assert WORDS in model.chat(ASK).message.content, model


def stream(place):
    for model in models(place):
        assert WORDS in "".join(chunk.delta or "" for chunk in model.stream_chat(ASK)), model


def tools(place):
    for model in models(place):
        tool = FunctionTool.from_defaults(look_up)
        answer = model.chat_with_tools([tool], user_msg="hi")
        assert model.get_tool_calls_from_response(answer)[0].tool_kwargs["topic"], answer


def structured(place):
    for model in models(place):
        assert model.as_structured_llm(Topic).chat(ASK).raw.topic, model


def embeddings(place):
    model = OpenAIEmbedding(api_base=place.origin + "/v1", api_key=place.token)
    assert len(model.get_text_embedding_batch(["one", "two"])) == 2


def errors(place):
    expect(Exception, lambda: of_openai(place.wrong()).chat(ASK))
    expect(Exception, lambda: of_openai(place, "gpt-4o-no-such").chat(ASK))


def cancel(place):
    stream = of_openai(place).stream_chat(ASK)
    next(stream)
    stream.close()
    assert place.is_idle()
    chat(place)


def retries(place):
    for _ in range(2):
        assert WORDS in of_openai(place).chat(ASK).message.content


CHECKS = dict(
    chat=chat, stream=stream, tools=tools, structured=structured, embeddings=embeddings, errors=errors,
    cancel=cancel, retries=retries,
)
run("llama-index-core", CHECKS)
