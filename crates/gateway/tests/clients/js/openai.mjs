// The official OpenAI SDK for JavaScript.

import OpenAI, { toFile } from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { ResponsesWS } from "openai/resources/responses/ws";
import { SCHEMA, WORDS, assert, expect, idle, run } from "./checks.mjs";

const ASK = [{ role: "user", content: "hi" }];
const TOOLS = [{ type: "function", function: { name: "look_up", parameters: SCHEMA } }];
const api = (place, more = {}) => new OpenAI({ baseURL: `${place.origin}/v1`, apiKey: place.token, ...more });

async function chat(place) {
  const answer = await api(place).chat.completions.create({ model: "gpt-4o", messages: ASK });
  assert(answer.choices[0].message.content.includes(WORDS), answer);
  const response = await api(place).responses.create({ model: "gpt-4o", input: "hi" });
  assert(response.output_text.includes(WORDS), response);
}

async function stream(place) {
  let text = "";
  for await (const chunk of await api(place).chat.completions.create({ model: "gpt-4o", messages: ASK, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  assert(text.includes(WORDS), text);
  let last;
  for await (const event of await api(place).responses.create({ model: "gpt-4o", input: "hi", stream: true })) last = event;
  assert(last.type === "response.completed", last);
}

async function tools(place) {
  const answer = await api(place).chat.completions.create({ model: "gpt-4o", messages: ASK, tools: TOOLS });
  const [call] = answer.choices[0].message.tool_calls;
  assert(JSON.parse(call.function.arguments).topic, call);
  const result = { role: "tool", tool_call_id: call.id, content: "foxes" };
  const messages = [...ASK, answer.choices[0].message, result];
  const final = await api(place).chat.completions.create({ model: "gpt-4o", messages, tools: TOOLS });
  assert(final.choices[0].message.content.includes(WORDS), final);
}

async function structured(place) {
  const format = { type: "json_schema", json_schema: { name: "topic", schema: SCHEMA, strict: true } };
  const answer = await api(place).chat.completions.parse({ model: "gpt-4o", messages: ASK, response_format: format });
  assert(answer.choices[0].message.parsed.topic, answer);
}

async function embeddings(place) {
  const answer = await api(place).embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
  assert(answer.data.length === 2 && answer.data[0].embedding.length === 1536, answer.data[0].embedding.length);
}

async function files(place) {
  for (let time = 0; time < place.times; time++) {
    const file = await api(place).files.create({ file: await toFile(Buffer.from("{}"), "a.jsonl"), purpose: "batch" });
    assert((await api(place).files.retrieve(file.id)).id === file.id, file);
    assert((await (await api(place).files.content(file.id)).text()) === "{}", file);
    assert((await api(place).files.delete(file.id)).deleted, file);
  }
}

async function state(place) {
  for (let time = 0; time < place.times; time++) {
    const first = await api(place).responses.create({ model: "gpt-5", input: "hi" });
    const next = await api(place).responses.create({ model: "gpt-5", input: "more", previous_response_id: first.id });
    assert(next.output_text.includes(WORDS), next);
    const secret = { model: "gpt-5", store: false, include: ["reasoning.encrypted_content"] };
    const begun = await api(place).responses.create({ ...secret, input: "hi" });
    const items = begun.output.map(({ id, ...item }) => item);
    const more = await api(place).responses.create({ ...secret, input: [...ASK, ...items, ...ASK] });
    assert(more.output_text.includes(WORDS), more);
  }
}

async function errors(place) {
  await expect(404, () => api(place).chat.completions.create({ model: "no-such-model", messages: ASK }));
  await expect(401, () => api(place, { apiKey: "wrong-token" }).chat.completions.create({ model: "gpt-4o", messages: ASK }));
}

async function cancel(place) {
  const stream = await api(place).chat.completions.create({ model: "gpt-4o", messages: ASK, stream: true });
  for await (const _ of stream) break;
  await idle(place);
  await chat(place);
}

async function retries(place) {
  for (let time = 0; time < 2; time++) {
    const answer = await api(place).chat.completions.create({ model: "gpt-4o", messages: ASK });
    assert(answer.choices[0].message.content.includes(WORDS), answer);
  }
}

// The text of a response over a WebSocket, which is closed then, and the code of the end.
function said(connection, end) {
  return new Promise((done, fail) => {
    let text = "";
    connection.on("response.output_text.delta", (event) => (text += event.delta));
    connection.on(end, () => connection.close({ code: 1000, reason: "done" }));
    connection.on("error", fail);
    connection.socket.on?.("close", (code) => done([text, code]));
    connection.on("close", (code) => done([text, code]));
  });
}

async function websocket(place) {
  const item = { type: "message", role: "user", content: [{ type: "input_text", text: "a fox" }] };
  for (let time = 0; time < place.times; time++) {
    // The SDK opens Realtime with TLS only.
    const realtime = new OpenAIRealtimeWS({ model: "gpt-realtime" }, api({ ...place, origin: place.secure }));
    realtime.socket.on("open", () => {
      realtime.send({ type: "conversation.item.create", item });
      realtime.send({ type: "response.create" });
    });
    const [text, code] = await said(realtime, "response.done");
    assert(text === "a fox" && code === 1000, [text, code]);
    const responses = new ResponsesWS(api(place));
    responses.send({ type: "response.create", model: "gpt-4o", input: "a fox" });
    const [more] = await said(responses, "response.completed");
    assert(more === "a fox", more);
  }
  const wrong = new OpenAIRealtimeWS({ model: "gpt-realtime" }, api({ ...place, origin: place.secure, token: "wrong-token" }));
  const error = await said(wrong, "response.done").then(() => null, (error) => error);
  assert(String(error).includes("401"), String(error));
  await idle(place);
}

await run("openai", { chat, stream, tools, structured, embeddings, files, state, errors, cancel, retries, websocket });
