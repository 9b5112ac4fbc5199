// Runs the checks of one client, and prints a line of JSON for each. See `python/checks.py`.

import { readFileSync } from "node:fs";

export const WORDS = "quick brown fox";
export const SCHEMA = { type: "object", properties: { topic: { type: "string" } }, required: ["topic"], additionalProperties: false };

// A check that takes longer has failed, in milliseconds.
const LONGEST = 40_000;

export function assert(holds, what) {
  if (!holds) throw new Error(`not as expected: ${JSON.stringify(what)}`);
}

// What `act` fails with, which has to have this status.
export async function expect(status, act) {
  try {
    await act();
  } catch (error) {
    const found = error.status ?? error.statusCode ?? error.code;
    if (found === status) return error;
    throw error;
  }
  throw new Error(`no error with status ${status}`);
}

// Waits until no request is at a provider.
export async function idle(place) {
  for (let round = 0; round < 50; round++) {
    const response = await fetch(`${place.origin}/api/key-status`, { headers: { authorization: `Bearer ${place.token}` } });
    const { providers } = await response.json();
    if (providers.every((provider) => provider.keys.every((key) => key.in_flight === 0))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("a request is still at a provider");
}

// Runs the checks of a package. `name` is the client's name in the results, and `done` is called at the end.
export async function run(client, checks, { name = `${client} (JS)`, done = () => {} } = {}) {
  const places = JSON.parse(process.argv[2]);
  const version = JSON.parse(readFileSync(new URL(`node_modules/${client}/package.json`, import.meta.url))).version;
  for (const accounts of ["one", "two"]) {
    for (const [capability, check] of Object.entries(checks)) {
      if (capability === "retries" && accounts === "two") continue;
      const origin = capability === "retries" ? places.limited : places[accounts];
      const place = { origin, token: places.token, times: accounts === "one" ? 1 : 6, secure: places.secure[accounts] };
      const late = new Promise((_, fail) => setTimeout(() => fail(new Error("no end in time")), LONGEST).unref());
      const error = await Promise.race([check(place), late]).then(() => null, (error) => String(error?.stack ?? error).slice(0, 1500));
      console.log("RESULT " + JSON.stringify({ client: name, version, accounts, capability, error }));
    }
  }
  await done();
  process.exit(0);
}
