"""LangChain, with its integrations of the three providers."""

import anthropic
import openai
from checks import WORDS, expect, run
from pydantic import BaseModel


class Topic(BaseModel):
    """A topic."""

    topic: str


def look_up(topic: str) -> str:
    """Looks up a topic."""
    return f"about {topic}"


def openai_model(place, model="gpt-4o"):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, base_url=place.origin + "/v1", api_key=place.token)


def anthropic_model(place, model="claude-sonnet-5-5"):
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model=model, base_url=place.origin + "/anthropic", api_key=place.token)


def google_model(place, model="gemini-2.5-flash"):
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(model=model, base_url=place.origin + "/gemini", api_key=place.token)


def checks(make, failure):
    def chat(place):
        answer = make(place).invoke("hi")
        assert WORDS in answer.text and answer.usage_metadata["total_tokens"] > 0, answer

    def stream(place):
        assert WORDS in "".join(chunk.text for chunk in make(place).stream("hi"))

    def tools(place):
        from langchain_core.messages import HumanMessage, ToolMessage

        model = make(place).bind_tools([look_up])
        for _ in range(place.times):
            called = model.invoke("hi")
            assert called.tool_calls[0]["args"]["topic"], called
            result = ToolMessage("foxes", tool_call_id=called.tool_calls[0]["id"])
            assert WORDS in model.invoke([HumanMessage("hi"), called, result]).text

    def structured(place):
        assert make(place).with_structured_output(Topic).invoke("hi").topic

    def errors(place):
        expect(failure, lambda: make(place.wrong()).invoke("hi"))
        expect(failure, lambda: make(place, "no-such-model").invoke("hi"))

    def cancel(place):
        stream = make(place).stream("hi")
        next(stream)
        stream.close()
        assert place.is_idle()
        chat(place)

    def retries(place):
        model = make(place)
        for _ in range(2):
            assert WORDS in model.invoke("hi").text

    return dict(
        chat=chat, stream=stream, tools=tools, structured=structured, errors=errors, cancel=cancel, retries=retries
    )


def openai_embeddings(place):
    from langchain_openai import OpenAIEmbeddings

    model = OpenAIEmbeddings(base_url=place.origin + "/v1", api_key=place.token, check_embedding_ctx_length=False)
    assert len(model.embed_documents(["one", "two"])) == 2


def google_embeddings(place):
    from langchain_google_genai import GoogleGenerativeAIEmbeddings

    model = GoogleGenerativeAIEmbeddings(
        model="models/gemini-embedding-001", base_url=place.origin + "/gemini", api_key=place.token
    )
    assert len(model.embed_documents(["one", "two"])) == 2


PACKAGES = {
    "langchain-openai": (openai_model, openai.APIStatusError, openai_embeddings),
    "langchain-anthropic": (anthropic_model, anthropic.APIStatusError, None),
    "langchain-google-genai": (google_model, Exception, google_embeddings),
}
for package, (make, failure, embeddings) in PACKAGES.items():
    all_checks = checks(make, failure)
    if embeddings:
        all_checks["embeddings"] = embeddings
    run(package, all_checks)
