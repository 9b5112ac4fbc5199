// The official Anthropic SDK for JavaScript.

import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { SCHEMA, WORDS, assert, expect, idle, run } from "./checks.mjs";

const ASK = { model: "claude-sonnet-5-5", max_tokens: 64, messages: [{ role: "user", content: "hi" }] };
const TOOLS = [{ name: "look_up", input_schema: SCHEMA }];
const api = (place, more = {}) => new Anthropic({ baseURL: `${place.origin}/anthropic`, apiKey: place.token, ...more });

async function chat(place) {
  for (const baseURL of [`${place.origin}/anthropic`, place.origin]) {
    const answer = await api(place, { baseURL }).messages.create(ASK);
    assert(answer.content[0].text.includes(WORDS), answer);
  }
}

async function stream(place) {
  const message = await api(place).messages.stream(ASK).finalMessage();
  assert(message.content[0].text.includes(WORDS) && message.stop_reason === "end_turn", message);
}

async function tools(place) {
  const answer = await api(place).messages.create({ ...ASK, tools: TOOLS });
  assert(answer.stop_reason === "tool_use" && answer.content[0].input.topic, answer);
  const result = { type: "tool_result", tool_use_id: answer.content[0].id, content: "foxes" };
  const messages = [...ASK.messages, { role: "assistant", content: answer.content }, { role: "user", content: [result] }];
  const final = await api(place).messages.create({ ...ASK, messages, tools: TOOLS });
  assert(final.content[0].text.includes(WORDS), final);
}

async function structured(place) {
  const choice = { type: "tool", name: "look_up" };
  const answer = await api(place).messages.create({ ...ASK, tools: TOOLS, tool_choice: choice });
  assert(typeof answer.content[0].input.topic === "string", answer);
}

async function files(place) {
  for (let time = 0; time < place.times; time++) {
    const file = await api(place).beta.files.upload({ file: await toFile(Buffer.from("foxes"), "a.txt", { type: "text/plain" }) });
    assert((await api(place).beta.files.retrieveMetadata(file.id)).id === file.id, file);
    await api(place).beta.files.delete(file.id);
    const batch = await api(place).messages.batches.create({ requests: [{ custom_id: "1", params: ASK }] });
    const results = [];
    for await (const result of await api(place).messages.batches.results(batch.id)) results.push(result);
    assert(results[0].result.message.content[0].text.includes(WORDS), results);
  }
}

async function errors(place) {
  await expect(404, () => api(place).messages.create({ ...ASK, model: "no-such-model" }));
  await expect(401, () => api(place, { apiKey: "wrong-token" }).messages.create(ASK));
}

async function cancel(place) {
  const stream = await api(place).messages.create({ ...ASK, stream: true });
  for await (const _ of stream) break;
  await idle(place);
  await chat(place);
}

async function retries(place) {
  for (let time = 0; time < 2; time++) {
    const answer = await api(place).messages.create(ASK);
    assert(answer.content[0].text.includes(WORDS), answer);
  }
}

await run("@anthropic-ai/sdk", { chat, stream, tools, structured, files, errors, cancel, retries });
