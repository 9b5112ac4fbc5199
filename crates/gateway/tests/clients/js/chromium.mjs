// A Chromium without a window, driven through chromedriver, and a page of an origin of its own for it.

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const MODULES = fileURLToPath(new URL("node_modules", import.meta.url));
const ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
const KINDS = { ".mjs": "text/javascript", ".js": "text/javascript", ".json": "application/json" };

// Serves a page, and the packages below /node_modules/. Returns the page's origin.
export function servePage(page, port = 0) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://page").pathname);
    if (!path.startsWith("/node_modules/")) {
      response.writeHead(path === "/" ? 200 : 404, { "content-type": "text/html" });
      return response.end(path === "/" ? page : "");
    }
    const file = await readFile(join(MODULES, path.slice("/node_modules/".length))).catch(() => null);
    response.writeHead(file ? 200 : 404, { "content-type": KINDS[extname(path)] ?? "text/plain" });
    response.end(file ?? "");
  });
  return new Promise((done, fail) => {
    server.on("error", fail);
    server.listen(port, "127.0.0.1", () => done(`http://127.0.0.1:${server.address().port}`));
  });
}

// Starts chromedriver, and returns its port.
function driverPort() {
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"] });
  process.on("exit", () => driver.kill());
  return new Promise((done, fail) => {
    let text = "";
    driver.on("error", () => fail(new Error("chromedriver is missing: install chromium-driver")));
    driver.on("exit", () => fail(new Error(`chromedriver ended: ${text}`)));
    driver.stdout.on("data", (data) => {
      text += data;
      const found = /successfully on port (\d+)/.exec(text);
      if (found) done(found[1]);
    });
  });
}

// A browser with one page.
export class Browser {
  static async start() {
    // The port that chromedriver chose for IPv6 may be taken for IPv4: then it ends.
    const port = await driverPort().catch(driverPort).catch(driverPort);
    const browser = new Browser();
    browser.driver = `http://127.0.0.1:${port}/session`;
    const options = { browserName: "chrome", "goog:chromeOptions": { args: ARGUMENTS } };
    const session = await browser.send("POST", "", { capabilities: { alwaysMatch: options } });
    browser.driver += `/${session.sessionId}`;
    browser.version = session.capabilities.browserVersion;
    await browser.send("POST", "/timeouts", { script: 30_000 });
    return browser;
  }

  async send(method, path, body) {
    const response = await fetch(this.driver + path, { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  }

  open(url) {
    return this.send("POST", "/url", { url });
  }

  // Runs a function in the page, and returns what it returns. Its arguments and its result are JSON.
  async run(act, ...args) {
    const script = `const done = arguments[arguments.length - 1];
      (${act})(...[].slice.call(arguments, 0, -1)).then((value) => done({ value }), (error) => done({ error: String(error?.stack ?? error) }));`;
    const { value, error } = await this.send("POST", "/execute/async", { script, args });
    if (error) throw new Error(`in the page: ${error}`);
    return value;
  }

  close() {
    return this.send("DELETE", "");
  }
}
