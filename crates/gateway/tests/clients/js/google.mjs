// The official Google Gen AI SDK for JavaScript.

import { GoogleGenAI } from "@google/genai";
import { SCHEMA, WORDS, assert, expect, idle, run } from "./checks.mjs";

const model = "gemini-2.5-flash";
const api = (place, more = {}) =>
  new GoogleGenAI({ apiKey: place.token, httpOptions: { baseUrl: `${place.origin}/gemini`, retryOptions: { attempts: 4 } }, ...more });

async function chat(place) {
  for (const baseUrl of [`${place.origin}/gemini`, place.origin]) {
    const answer = await api(place, { httpOptions: { baseUrl } }).models.generateContent({ model, contents: "hi" });
    assert(answer.text.includes(WORDS), answer);
  }
}

async function stream(place) {
  let text = "";
  for await (const chunk of await api(place).models.generateContentStream({ model, contents: "hi" })) text += chunk.text ?? "";
  assert(text.includes(WORDS), text);
}

async function tools(place) {
  const { additionalProperties, ...schema } = SCHEMA;
  const tool = { functionDeclarations: [{ name: "look_up", parametersJsonSchema: schema }] };
  const answer = await api(place).models.generateContent({ model, contents: "hi", config: { tools: [tool] } });
  assert(answer.functionCalls[0].args.topic, answer);
}

async function structured(place) {
  const config = { responseMimeType: "application/json", responseJsonSchema: SCHEMA };
  const answer = await api(place).models.generateContent({ model, contents: "hi", config });
  assert(typeof JSON.parse(answer.text).topic === "string", answer);
}

async function embeddings(place) {
  const answer = await api(place).models.embedContent({ model: "gemini-embedding-001", contents: ["one", "two"] });
  assert(answer.embeddings.length === 2 && answer.embeddings[0].values.length > 0, answer);
}

async function files(place) {
  for (let time = 0; time < place.times; time++) {
    const blob = new Blob(["foxes"], { type: "text/plain" });
    const file = await api(place).files.upload({ file: blob, config: { mimeType: "text/plain", displayName: "foxes" } });
    assert((await api(place).files.get({ name: file.name })).name === file.name, file);
    const cache = await api(place).caches.create({ model, config: { contents: "about" } });
    const answer = await api(place).models.generateContent({ model, contents: "hi", config: { cachedContent: cache.name } });
    assert(answer.text.includes(WORDS), answer);
    await api(place).files.delete({ name: file.name });
  }
}

async function errors(place) {
  await expect(404, () => api(place).models.generateContent({ model: "no-such-model", contents: "hi" }));
  await expect(401, () => api(place, { apiKey: "wrong-token" }).models.generateContent({ model, contents: "hi" }));
}

async function cancel(place) {
  const stream = await api(place).models.generateContentStream({ model, contents: "hi" });
  for await (const _ of stream) break;
  await idle(place);
  await chat(place);
}

async function retries(place) {
  for (let time = 0; time < 2; time++) {
    assert((await api(place).models.generateContent({ model, contents: "hi" })).text.includes(WORDS), time);
  }
}

// What a Live session says to a text: the simulator says the same.
function live(place) {
  return new Promise((done, fail) => {
    let text = "", session;
    const onmessage = (message) => {
      text += message.text ?? "";
      if (message.serverContent?.turnComplete) session.close();
    };
    const callbacks = { onmessage, onerror: (event) => fail(new Error(event.message)), onclose: () => done(text) };
    const connecting = api(place).live.connect({ model: "gemini-live-2.5-flash", callbacks, config: { responseModalities: ["TEXT"] } });
    connecting.then((opened) => {
      session = opened;
      session.sendClientContent({ turns: "a fox" });
    }, fail);
  });
}

async function websocket(place) {
  for (let time = 0; time < place.times; time++) {
    const text = await live(place);
    assert(text === "a fox", text);
  }
  const error = await live({ ...place, token: "wrong-token" }).then(() => null, (error) => error);
  assert(String(error).includes("401"), String(error));
  await idle(place);
}

await run("@google/genai", { chat, stream, tools, structured, embeddings, files, errors, cancel, retries, websocket });
