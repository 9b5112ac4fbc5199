"""Pydantic AI, with its models of the three providers and OpenAI's Responses API."""

import asyncio

from checks import WORDS, expect, run
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Topic(BaseModel):
    topic: str


def models(place, name=None):
    openai = OpenAIProvider(base_url=place.origin + "/v1", api_key=place.token)
    anthropic = AnthropicProvider(base_url=place.origin + "/anthropic", api_key=place.token)
    google = GoogleProvider(base_url=place.origin + "/gemini", api_key=place.token)
    return [
        OpenAIChatModel(name or "gpt-4o", provider=openai),
        OpenAIResponsesModel(name or "gpt-5", provider=openai),
        AnthropicModel(name or "claude-sonnet-5-5", provider=anthropic),
        GoogleModel(name or "gemini-2.5-flash", provider=google),
    ]


def chat(place):
    for model in models(place):
        answer = Agent(model).run_sync("hi")
        assert WORDS in answer.output, answer


async def streamed(model, stop=False):
    async with Agent(model).run_stream("hi") as result:
        text = ""
        async for piece in result.stream_text(delta=True):
            text += piece
            if stop:
                return text
        return text


def stream(place):
    for model in models(place):
        assert WORDS in asyncio.run(streamed(model)), model


def tools(place):
    for _ in range(place.times):
        for model in models(place):
            agent, seen = Agent(model), []

            @agent.tool_plain
            def look_up(topic: str) -> str:
                seen.append(topic)
                return f"about {topic}"

            assert WORDS in agent.run_sync("hi").output and len(seen) == 1, seen


def structured(place):
    for model in models(place):
        assert Agent(model, output_type=Topic).run_sync("hi").output.topic


def errors(place):
    for model in models(place.wrong()) + models(place, "no-such-model"):
        expect(ModelHTTPError, lambda: Agent(model).run_sync("hi"))


def cancel(place):
    asyncio.run(streamed(models(place)[0], stop=True))
    assert place.is_idle()
    chat(place)


def retries(place):
    for model in models(place)[:3]:
        for _ in range(2):
            assert WORDS in Agent(model).run_sync("hi").output


CHECKS = dict(
    chat=chat, stream=stream, tools=tools, structured=structured, errors=errors, cancel=cancel, retries=retries
)
run("pydantic-ai-slim", CHECKS)
