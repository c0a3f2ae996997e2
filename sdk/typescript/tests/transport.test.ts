/** Every event arrives exactly once, or is counted as lost. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { HeldError, LossError } from "../src/errors.js";
import type { Client } from "../src/client.js";
import type { Behaviour, Door } from "./door.js";
import { EVENT, setUp } from "./recording.js";

function send(client: Client, count: number): void {
  for (let number = 0; number < count; number += 1) {
    client.record({ ...EVENT, tags: { number: String(number) } });
  }
}

function numbers(door: Door): number[] {
  return door.taken.map((event) => Number((event["tags"] as { number: string }).number));
}

test("events arrive in batches, packed, with the key", async (t) => {
  const { door, make } = await setUp(t);
  const client = make({ flushAt: 100 });
  send(client, 250);
  assert.equal(await client.flush(10), true);
  assert.deepEqual(numbers(door), [...Array(250).keys()]);
  assert.deepEqual(door.bodies, [100, 100, 50]);
  assert.equal(door.headers.authorization, "Bearer llms_test");
  assert.equal(door.headers["content-encoding"], "gzip");
  assert.match(door.headers["user-agent"] ?? "", /^llmscope-typescript\//);
});

test("a lone event waits for its batch no longer than the interval", async (t) => {
  const { door, make } = await setUp(t);
  make({ flushIntervalSeconds: 0.05 }).record(EVENT);
  await door.waitFor(1, 5);
});

test("a batch is sent once enough events wait, however long the interval", async (t) => {
  const { door, make } = await setUp(t);
  send(make({ flushAt: 10, flushIntervalSeconds: 600 }), 10);
  await door.waitFor(10, 5);
});

test("a batch holds no more bytes than it may", async (t) => {
  const { door, make } = await setUp(t);
  const client = make({ maxBatchBytes: 1024 });
  send(client, 20);
  assert.equal(await client.flush(10), true);
  assert.ok(door.bodies.length >= 5, String(door.bodies));
  assert.equal(door.events.size, 20);
});

const TROUBLES: Behaviour[] = [503, 429, 401, 403, 502, 504, 408, 500, 404, "cut", "half", 503];

for (const spoolDirectory of ["off", undefined]) {
  const where = spoolDirectory ? "in memory" : "on disk";
  test(`all events arrive exactly once through every trouble, waiting ${where}`, async (t) => {
    const { door, reports, make } = await setUp(t);
    const client = make({ spoolDirectory, flushAt: 20 });
    door.behaviours = [...TROUBLES];
    send(client, 500);
    await door.waitFor(500);
    assert.equal(await client.flush(10), true);
    assert.deepEqual(
      numbers(door).sort((one, other) => one - other),
      [...Array(500).keys()],
    );
    assert.deepEqual(client.losses.counts(), {});
    assert.deepEqual(
      reports.map((report) => report.reason),
      ["unauthorized"],
    );
    assert.ok(reports[0] instanceof HeldError && reports[0].status === 401);
  });

  test(`nothing is lost while the server is away, waiting ${where}`, async (t) => {
    const { door, make } = await setUp(t);
    const client = make({ spoolDirectory, flushAt: 20 });
    await door.close();
    send(client, 100);
    assert.equal(await client.flush(0.3), false);
    send(client, 100);
    await door.open();
    await door.waitFor(200);
    assert.equal(await client.flush(10), true);
    assert.deepEqual(client.losses.counts(), {});
  });
}

test("20,000 events arrive once through refusals, cuts and restarts of the server", async (t) => {
  const { door, make } = await setUp(t);
  const client = make({ maxQueueSize: 20_000 });
  const kinds: Behaviour[] = [503, 202, 429, 202, "cut", 202, "half", 202];
  door.behaviours = Array(25).fill(kinds).flat() as Behaviour[];
  for (let round = 0; round < 20; round += 1) {
    for (let number = 0; number < 1000; number += 1) client.record(EVENT);
    await new Promise((resolve) => setTimeout(resolve, 10));
    if (round % 7 !== 3) continue;
    await door.close();
    await new Promise((resolve) => setTimeout(resolve, 30));
    await door.open();
  }
  door.behaviours = [];
  await door.waitFor(20_000, 40);
  assert.equal(await client.flush(10), true);
  assert.deepEqual(client.losses.counts(), {});
});

test("an event that the server rejects is lost alone, and told of once", async (t) => {
  const { door, reports, make } = await setUp(t);
  door.rejects = (event) => {
    return Number((event["tags"] as { number: string }).number) % 10 === 3 ? "no" : null;
  };
  const client = make();
  send(client, 50);
  assert.equal(await client.flush(10), true);
  assert.equal(door.events.size, 45);
  assert.deepEqual(client.losses.counts(), { rejected: 5 });
  assert.equal(reports.length, 1);
  assert.ok(reports[0] instanceof LossError);
  assert.match(reports[0].detail, /^tags: no$/);
});

test("a batch that cannot be read is halved until the culprit is alone", async (t) => {
  const { door, make } = await setUp(t);
  const client = make();
  door.behaviours = [400, 400, 400, 202, 202];
  send(client, 4);
  assert.equal(await client.flush(10), true);
  assert.deepEqual(client.losses.counts(), { rejected: 1 });
  assert.deepEqual(numbers(door), [1, 2, 3]);
});

test("a batch that fails the server again and again does not stop those behind it", async (t) => {
  const { door, make } = await setUp(t);
  const client = make({ maxRetries: 2, flushAt: 10, spoolDirectory: "off" });
  door.behaviours = [500, 500, 500];
  send(client, 20);
  await door.waitFor(10);
  assert.equal(await client.flush(10), true);
  assert.deepEqual(client.losses.counts(), { retries_exhausted: 10 });
  assert.deepEqual(numbers(door), [...Array(20).keys()].slice(10));
});

test("a redirect is not followed", async (t) => {
  const { door, make } = await setUp(t);
  const client = make();
  door.behaviours = [301];
  send(client, 1);
  assert.equal(await client.flush(10), true);
  assert.deepEqual(client.losses.counts(), { rejected: 1 });
  assert.equal(door.requestCount, 1);
});

test("a server that does not answer in time is tried again", async (t) => {
  const { door, make } = await setUp(t);
  door.behaviours = ["hang"];
  const client = make({ timeoutSeconds: 0.1 });
  send(client, 1);
  await door.waitFor(1, 5);
});

for (const [whenFull, kept] of [
  ["drop_newest", [0, 1, 2]],
  ["drop_oldest", [2, 3, 4]],
] as const) {
  test(`a full queue loses by ${whenFull}`, async (t) => {
    const { door, reports, make } = await setUp(t);
    const client = make({ maxQueueSize: 3, whenFull, flushIntervalSeconds: 600 });
    send(client, 5);
    assert.equal(await client.flush(10), true);
    assert.deepEqual(numbers(door), kept);
    assert.deepEqual(client.losses.counts(), { queue_full: 2 });
    assert.equal(reports.length, 1);
  });
}

test("redact sees each event, may change it or keep it back, but not its identity", async (t) => {
  const { door, make } = await setUp(t);
  const client = make({
    redact: (event) => {
      if (event.user_id === "secret") return null;
      return { ...event, user_id: "someone", event_id: "other" };
    },
  });
  client.record({ ...EVENT, user_id: "ann" });
  client.record({ ...EVENT, user_id: "secret" });
  assert.equal(await client.flush(10), true);
  assert.deepEqual(
    door.taken.map((event) => event["user_id"]),
    ["someone"],
  );
  assert.notEqual(door.taken[0]!.event_id, "other");
  assert.deepEqual(client.losses.counts(), {});
});

test("an event whose redaction fails does not leave the process", async (t) => {
  const { door, reports, make } = await setUp(t);
  const client = make({
    redact: () => {
      throw new Error("broken");
    },
  });
  send(client, 3);
  assert.equal(await client.flush(10), true);
  assert.equal(door.events.size, 0);
  assert.deepEqual(client.losses.counts(), { redaction_failed: 3 });
  assert.equal(reports.length, 1);
});

test("an onError that throws harms nobody", async (t) => {
  const { door, make } = await setUp(t);
  t.mock.method(console, "warn", () => undefined);
  const client = make({
    onError: () => {
      throw new Error("broken");
    },
  });
  client.record({ provider_name: "acme" });
  client.record(EVENT);
  assert.equal(await client.flush(10), true);
  assert.equal(door.events.size, 1);
  assert.deepEqual(client.losses.counts(), { invalid: 1 });
});

test("shutdown sends what waits, and counts what comes later", async (t) => {
  const { door, make } = await setUp(t);
  const client = make({ flushIntervalSeconds: 600 });
  send(client, 5);
  await client.shutdown();
  assert.equal(door.events.size, 5);
  client.record(EVENT);
  assert.deepEqual(client.losses.counts(), { shutdown: 1 });
});

test("shutdown ends in time though the server hangs, and without a spool counts", async (t) => {
  const { door, make } = await setUp(t);
  door.behaviours = ["hang", "hang"];
  const client = make({ spoolDirectory: "off" });
  send(client, 5);
  const started = performance.now();
  await client.shutdown(0.2);
  assert.ok(performance.now() - started < 2000);
  assert.deepEqual(client.losses.counts(), { shutdown: 5 });
});

test("a short-lived token is fetched when it is needed, and again when it has expired", async (t) => {
  const { door, make } = await setUp(t);
  let made = 0;
  const getToken = async () => `llmi_${(made += 1)}`;
  const client = make({ apiKey: undefined, getToken, spoolDirectory: "off" });
  send(client, 1);
  assert.equal(await client.flush(10), true);
  assert.equal(door.headers.authorization, "Bearer llmi_1");
  door.behaviours = [401];
  send(client, 1);
  assert.equal(await client.flush(10), true);
  assert.equal(door.headers.authorization, "Bearer llmi_2");
  assert.equal(made, 2);
  assert.deepEqual(client.losses.counts(), {});
});

test("a token that cannot be fetched for now loses nothing", async (t) => {
  const { door, make } = await setUp(t);
  let made = 0;
  const getToken = () => {
    if ((made += 1) < 3) throw new Error("offline");
    return "llmi_x";
  };
  const client = make({ apiKey: undefined, getToken, spoolDirectory: "off" });
  send(client, 1);
  await door.waitFor(1, 5);
});
