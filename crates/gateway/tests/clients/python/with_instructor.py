"""Instructor, on the official SDKs of OpenAI and Anthropic."""

import anthropic
import instructor
import openai
from checks import expect, run
from pydantic import BaseModel

ASK = [{"role": "user", "content": "hi"}]


class Topic(BaseModel):
    topic: str
    words: list[str]


def of_openai(place, mode=instructor.Mode.TOOLS):
    return instructor.from_openai(openai.OpenAI(base_url=place.origin + "/v1", api_key=place.token), mode=mode)


def of_anthropic(place):
    return instructor.from_anthropic(anthropic.Anthropic(base_url=place.origin + "/anthropic", api_key=place.token))


def structured(place):
    for mode in [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]:
        made = of_openai(place, mode).chat.completions.create(model="gpt-4o", messages=ASK, response_model=Topic)
        assert made.topic, made
    made = of_anthropic(place).chat.completions.create(
        model="claude-sonnet-5-5", max_tokens=64, messages=ASK, response_model=Topic
    )
    assert made.topic, made


def stream(place):
    parts = of_openai(place).chat.completions.create_partial(model="gpt-4o", messages=ASK, response_model=Topic)
    assert list(parts)[-1].topic


def errors(place):
    ask = dict(messages=ASK, response_model=Topic, max_retries=0)
    expect(Exception, lambda: of_openai(place.wrong()).chat.completions.create(model="gpt-4o", **ask))
    expect(Exception, lambda: of_openai(place).chat.completions.create(model="no-such-model", **ask))


def retries(place):
    for _ in range(2):
        assert of_openai(place).chat.completions.create(model="gpt-4o", messages=ASK, response_model=Topic).topic


run("instructor", dict(structured=structured, stream=stream, errors=errors, retries=retries))
