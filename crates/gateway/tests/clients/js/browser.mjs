// A page of another origin in Chromium: the official OpenAI SDK, fetch, EventSource and WebSocket.

import { WORDS, assert, idle, run } from "./checks.mjs";
import { Browser, servePage } from "./chromium.mjs";

const PAGE = `<!doctype html><script type="module">
  import OpenAI from "/node_modules/openai/index.mjs";
  window.openai = (origin, apiKey, more) => new OpenAI({ baseURL: origin + "/v1", apiKey, dangerouslyAllowBrowser: true, ...more });
  window.ASK = { model: "gpt-4o", messages: [{ role: "user", content: "hi" }] };
  window.ready = true;
</script>`;

const places = JSON.parse(process.argv[2]);
const [page, foreign] = [await servePage(PAGE, new URL(places.page).port), await servePage(PAGE)];
const browser = await Browser.start();

async function at(origin) {
  await browser.open(origin);
  await browser.run(async () => {
    while (!window.ready) await new Promise((done) => setTimeout(done, 10));
  });
}

async function chat(place) {
  await at(page);
  const [text, served, id] = await browser.run(async (origin, token) => {
    const { data, response } = await window.openai(origin, token).chat.completions.create(window.ASK).withResponse();
    return [data.choices[0].message.content, response.headers.get("x-served-by"), response.headers.get("x-request-id")];
  }, place.origin, place.token);
  assert(text.includes(WORDS) && served.startsWith("openai/") && id, [text, served, id]);
}

async function stream(place) {
  await at(page);
  const [text, lines] = await browser.run(async (origin, token) => {
    let text = "";
    for await (const chunk of await window.openai(origin, token).chat.completions.create({ ...window.ASK, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = JSON.stringify({ ...window.ASK, stream: true });
    const response = await fetch(`${origin}/v1/chat/completions`, { method: "POST", headers, body });
    let lines = "";
    for await (const data of response.body.pipeThrough(new TextDecoderStream())) lines += data;
    return [text, lines];
  }, place.origin, place.token);
  assert(text.includes(WORDS), text);
  assert(lines.includes("data: {") && lines.trimEnd().endsWith("data: [DONE]"), lines);
  const kind = await browser.run((origin, token) => new Promise((done, fail) => {
    const events = new EventSource(`${origin}/api/events?key=${token}`);
    events.onopen = () => done("open");
    events.onerror = () => fail(new Error("the stream of events is refused"));
  }), place.origin, place.token);
  assert(kind === "open", kind);
}

async function errors(place) {
  await at(page);
  const found = await browser.run(async (origin, token) => {
    const failure = async (key, model) => {
      const error = await window.openai(origin, key, { maxRetries: 0 }).chat.completions.create({ ...window.ASK, model }).catch((error) => error);
      return [error.constructor.name, error.status, error.code, error.headers?.get("x-should-retry") ?? null];
    };
    return [await failure("wrong-token", "gpt-4o"), await failure(token, "no-such-model")];
  }, place.origin, place.token);
  assert(found[0].join() === "AuthenticationError,401,invalid_api_key,false", found);
  assert(found[1].slice(0, 3).join() === "NotFoundError,404,model_not_found", found);
  // A page of an origin that is not listed reads nothing.
  await at(foreign);
  const refused = await browser.run(async (origin, token) => {
    const own = await window.openai(origin, token, { maxRetries: 0 }).chat.completions.create(window.ASK).catch((error) => error.constructor.name);
    const plain = await fetch(`${origin}/v1/models`).then(() => "read", (error) => error.constructor.name);
    return [own, plain];
  }, place.origin, place.token);
  assert(refused.join() === "APIConnectionError,TypeError", refused);
}

async function cancel(place) {
  await at(page);
  await browser.run(async (origin, token) => {
    const stream = await window.openai(origin, token).chat.completions.create({ ...window.ASK, stream: true });
    for await (const _ of stream) break;
  }, place.origin, place.token);
  await idle(place);
  await chat(place);
}

async function retries(place) {
  await at(page);
  const waits = await browser.run(async (origin, token) => {
    const api = window.openai(origin, token);
    for (let time = 0; time < 2; time++) await api.chat.completions.create(window.ASK);
    const error = await window.openai(origin, token, { maxRetries: 0 }).chat.completions.create(window.ASK).catch((error) => error);
    return [error.status, error.headers.get("retry-after")];
  }, place.origin, place.token);
  assert(waits.join() === "429,1", waits);
}

// Realtime over the browser's own WebSocket, with the token among the subprotocols.
async function websocket(place) {
  await at(page);
  for (let time = 0; time < place.times; time++) {
    const [text, protocol, code] = await browser.run((origin, token) => new Promise((done, fail) => {
      const protocols = ["realtime", `openai-insecure-api-key.${token}`];
      const socket = new WebSocket(`${origin.replace("http", "ws")}/v1/realtime?model=gpt-realtime`, protocols);
      const item = { type: "message", role: "user", content: [{ type: "input_text", text: "a fox" }] };
      let text = "";
      socket.onopen = () => {
        socket.send(JSON.stringify({ type: "conversation.item.create", item }));
        socket.send(JSON.stringify({ type: "response.create" }));
      };
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        text += event.type === "response.output_text.delta" ? event.delta : "";
        if (event.type === "response.done") socket.close(1000);
      };
      socket.onclose = ({ code }) => done([text, socket.protocol, code]);
      socket.onerror = () => fail(new Error("the WebSocket failed"));
    }), place.origin, place.token);
    assert(text === "a fox" && protocol === "realtime" && code === 1000, [text, protocol, code]);
  }
}

await run("openai", { chat, stream, errors, cancel, retries, websocket }, { name: "openai (Chromium)", done: () => browser.close() });
