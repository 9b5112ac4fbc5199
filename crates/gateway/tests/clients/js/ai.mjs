// Vercel's AI SDK, with four of its providers.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { WORDS, assert, expect, idle, run } from "./checks.mjs";

const schema = z.object({ topic: z.string() });

function providers({ origin, token: apiKey }) {
  return {
    openai: createOpenAI({ baseURL: `${origin}/v1`, apiKey }),
    anthropic: createAnthropic({ baseURL: `${origin}/anthropic/v1`, apiKey }),
    google: createGoogleGenerativeAI({ baseURL: `${origin}/gemini/v1beta`, apiKey }),
    compatible: createOpenAICompatible({ name: "gateway", baseURL: `${origin}/v1`, apiKey, supportsStructuredOutputs: true }),
  };
}

function models(place) {
  const { openai, anthropic, google, compatible } = providers(place);
  return [openai("gpt-5"), openai.chat("gpt-4o"), anthropic("claude-sonnet-5-5"), google("gemini-2.5-flash"), compatible("gpt-4o")];
}

async function chat(place) {
  for (const model of models(place)) {
    const { text } = await generateText({ model, prompt: "hi" });
    assert(text.includes(WORDS), [model.provider, text]);
  }
}

async function stream(place) {
  for (const model of models(place)) {
    let text = "";
    for await (const piece of streamText({ model, prompt: "hi", onError: ({ error }) => { throw error; } }).textStream) text += piece;
    assert(text.includes(WORDS), [model.provider, text]);
  }
}

async function tools(place) {
  const lookUp = tool({ description: "looks up", inputSchema: schema, execute: async ({ topic }) => `about ${topic}` });
  for (let time = 0; time < place.times; time++) {
    for (const model of models(place)) {
      const { text, steps } = await generateText({ model, prompt: "hi", tools: { lookUp }, stopWhen: stepCountIs(3) });
      assert(steps.length === 2 && text.includes(WORDS), [model.provider, steps.length, text]);
    }
  }
}

async function structured(place) {
  for (const model of models(place)) {
    const { object } = await generateObject({ model, prompt: "hi", schema });
    assert(typeof object.topic === "string", [model.provider, object]);
  }
}

async function embeddings(place) {
  const { openai, google } = providers(place);
  for (const model of [openai.embedding("text-embedding-3-small"), google.textEmbedding("gemini-embedding-001")]) {
    const { embeddings } = await embedMany({ model, values: ["one", "two"] });
    assert(embeddings.length === 2 && embeddings[0].length > 0, model.provider);
  }
}

// Reasoning that is not stored at the provider comes back encrypted, and has to return to its account.
async function state(place) {
  const options = { openai: { store: false, include: ["reasoning.encrypted_content"] } };
  const model = providers(place).openai("gpt-5");
  for (let time = 0; time < place.times; time++) {
    const first = await generateText({ model, prompt: "hi", providerOptions: options });
    const messages = [{ role: "user", content: "hi" }, ...first.response.messages, { role: "user", content: "more" }];
    const { text } = await generateText({ model, messages, providerOptions: options });
    assert(text.includes(WORDS), text);
  }
}

async function errors(place) {
  const wrong = providers({ ...place, token: "wrong-token" });
  await expect(401, () => generateText({ model: wrong.openai("gpt-5"), prompt: "hi" }));
  await expect(404, () => generateText({ model: providers(place).anthropic("no-such-model"), prompt: "hi" }));
}

async function cancel(place) {
  for (const model of models(place)) {
    const abort = new AbortController();
    const { textStream } = streamText({ model, prompt: "hi", abortSignal: abort.signal });
    for await (const _ of textStream) {
      abort.abort();
      break;
    }
  }
  await idle(place);
  await chat(place);
}

async function retries(place) {
  for (const model of models(place)) {
    for (let time = 0; time < 2; time++) {
      const { text } = await generateText({ model, prompt: "hi", maxRetries: 5 });
      assert(text.includes(WORDS), text);
    }
  }
}

await run("ai", { chat, stream, tools, structured, embeddings, state, errors, cancel, retries });
