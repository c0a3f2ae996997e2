/** What recording adds to a call: `npm run bench`, after `npm run build`. */
import { init, record, shutdown, uninstrument, wrap } from "../dist/esm/index.node.js";
import OpenAI from "openai";

const ROUNDS = 500;
const CALLS = 20;
const BODY = JSON.stringify({
  id: "chatcmpl-1",
  model: "gpt-4o-2024",
  choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 },
});
const answer = async () => {
  return new Response(BODY, { headers: { "content-type": "application/json" } });
};
const ask = { model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] };

/** Microseconds of each call, the least of all rounds: what else the machine does only adds. */
async function costs(...calls) {
  const least = calls.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [place, call] of calls.entries()) {
      const started = performance.now();
      for (let number = 0; number < CALLS; number += 1) await call();
      least[place] = Math.min(least[place], ((performance.now() - started) * 1000) / CALLS);
    }
  }
  return least;
}

const plain = new OpenAI({ apiKey: "x", fetch: answer });
// Nobody listens there: everything waits in memory, and nothing is sent while it is measured.
const away = { apiKey: "x", url: "http://127.0.0.1:9", spoolDirectory: "off", flushAt: 1000 };
init({ ...away, flushIntervalSeconds: 600, maxQueueSize: 900, onError: () => undefined });
const wrapped = wrap(new OpenAI({ apiKey: "x", fetch: answer }));
const [without, recorded, alone] = await costs(
  () => plain.chat.completions.create(ask),
  () => wrapped.chat.completions.create(ask),
  () => record({ provider_name: "acme", request_model: "m1" }),
);
console.log(
  `a call of openai adds ${(recorded - without).toFixed(1)} us to ${without.toFixed(1)} us`,
);
console.log(`record() takes ${alone.toFixed(1)} us`);

globalThis.gc?.();
init({ ...away, flushIntervalSeconds: 600, maxQueueSize: 10_000, onError: () => undefined });
globalThis.gc?.();
const before = process.memoryUsage().heapUsed;
for (let number = 0; number < 10_000; number += 1) {
  record({ provider_name: "acme", request_model: "m1", input_tokens: number });
}
globalThis.gc?.();
const mebibytes = (process.memoryUsage().heapUsed - before) / 2 ** 20;
console.log(`10,000 queued events hold ${mebibytes.toFixed(1)} MiB`);
uninstrument();
await shutdown(0);
process.exit(0);
