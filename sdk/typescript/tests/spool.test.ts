/** What was spooled arrives, whatever ends the process. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { newEventId } from "../src/events.js";
import { newOwner } from "../src/node/owners.js";
import { DiskSpool } from "../src/node/spool.js";
import type { Line } from "../src/transport/lines.js";
import { EVENT, setUp, temporaryFolder } from "./recording.js";

const ENTRY = new URL("../src/index.node.js", import.meta.url).href;

function lines(count: number): Line[] {
  return [...Array(count).keys()].map(() => {
    const eventId = newEventId();
    const text = JSON.stringify({ ...EVENT, event_id: eventId });
    return { eventId, text, size: text.length };
  });
}

function spoolIn(folder: string, maxBytes = 2 ** 20): DiskSpool {
  return new DiskSpool(folder, maxBytes, (count) => assert.fail(`${count} lines are damaged`));
}

async function read(spool: DiskSpool): Promise<string[]> {
  const found: string[] = [];
  for await (const segment of spool.segments()) {
    found.push(...segment.lines.map((line) => line.eventId));
    await segment.replace([]);
  }
  return found;
}

/** Another program, and its lines of output. */
function start(script: string, ...given: string[]) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, ...given], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (part: Buffer) => (output += part.toString()));
  return { child, ended: once(child, "exit"), output: () => output };
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const WRITER = `
  const { init, record, flush, losses } = await import("${ENTRY}");
  const [url, spoolDirectory, count, what, timeoutSeconds = 10] = process.argv.slice(1);
  const often = { flushIntervalSeconds: 0.02, flushAt: 10 };
  init({ apiKey: "llms_test", url, spoolDirectory, timeoutSeconds, ...often });
  for (let number = 0; number < Number(count); number += 1) {
    record({ provider_name: "acme", request_model: "m1", tags: { number: String(number) } });
  }
  process.on("exit", () => console.log("losses", JSON.stringify(losses())));
  if (what === "exit") process.exit(0);
  if (what === "wait") {
    await flush(0.5);
    console.log("ready");
    setInterval(() => undefined, 1000);
  }
`;

test("lines come back in their order, oldest segment first, and are gone once settled", async (t) => {
  const folder = temporaryFolder(t);
  const spool = spoolIn(folder);
  const [first, second] = [lines(3), lines(2)];
  assert.equal(await spool.append(first), "yes");
  await spool.close();
  assert.equal(await spool.append(second), "yes");
  const ids = [...first, ...second].map((line) => line.eventId);
  assert.deepEqual(await read(spool), ids);
  assert.deepEqual(readdirSync(folder), []);
});

test("what is not settled stays, and nobody else may read it", async (t) => {
  const folder = join(temporaryFolder(t), "deep");
  const spool = spoolIn(folder);
  const stored = lines(3);
  await spool.append(stored);
  for await (const segment of spool.segments()) await segment.replace(segment.lines.slice(1));
  const [name] = readdirSync(folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(join(folder, name!)).mode & 0o777, 0o600);
  assert.deepEqual(
    await read(spool),
    stored.slice(1).map((line) => line.eventId),
  );
});

test("a torn last line is skipped, and damaged ones are counted", async (t) => {
  const folder = temporaryFolder(t);
  const [line] = lines(1);
  const name = join(folder, `${newEventId()}.ndjson`);
  writeFileSync(name, `${line!.text}\nnot JSON\n{"event_id": "torn`);
  let damaged = 0;
  const spool = new DiskSpool(folder, 2 ** 20, (count) => (damaged += count));
  assert.deepEqual(await read(spool), [line!.eventId]);
  assert.equal(damaged, 1);
});

test("a spool that is full takes no more", async (t) => {
  const spool = spoolIn(temporaryFolder(t), 200);
  assert.equal(await spool.append(lines(1)), "yes");
  assert.equal(await spool.append(lines(3)), "full");
  assert.equal(spool.appendNow(lines(3)), "full");
});

test("a segment of a living program is left alone, one of a dead program is not", async (t) => {
  const folder = temporaryFolder(t);
  const owner = newOwner();
  const [where, pid, started] = owner.split("-");
  const [living, dead, reused] = [lines(1), lines(1), lines(1)].map((one) => one[0]!);
  const put = (line: Line, whose: string) => {
    writeFileSync(join(folder, `${newEventId()}.${whose}.ndjson`), `${line.text}\n`);
  };
  put(living!, owner);
  put(dead!, `${where}-4194304-1-abcd`);
  put(reused!, `${where}-${pid}-${Number(started) - 1}-abcd`);
  const spool = spoolIn(folder);
  const found = await read(spool);
  assert.deepEqual(found.sort(), [dead!.eventId, reused!.eventId].sort());
  assert.equal(spool.hasOthers, true);
  assert.deepEqual(readdirSync(folder).length, 1);
});

test("a segment of another container is taken once it was not touched for long", async (t) => {
  const folder = temporaryFolder(t);
  const [line] = lines(1);
  const path = join(folder, `${newEventId()}.aaaaaaaaaaaa-1-1-abcd.ndjson`);
  writeFileSync(path, `${line!.text}\n`);
  const spool = spoolIn(folder);
  assert.deepEqual(await read(spool), []);
  utimesSync(path, 0, 0);
  assert.deepEqual(await read(spool), [line!.eventId]);
});

test("what was spooled arrives after kill -9, in its order and once", async (t) => {
  const { door, folder, make } = await setUp(t);
  const spoolDirectory = join(folder, "spool");
  await door.close();
  const writer = start(WRITER, door.url, spoolDirectory, "100", "wait");
  await until(() => writer.output().includes("ready"), "the writer has spooled");
  writer.child.kill("SIGKILL");
  await writer.ended;
  await door.open();
  make({ spoolDirectory });
  await door.waitFor(100);
  const numbers = door.taken.map((event) => Number((event["tags"] as { number: string }).number));
  assert.deepEqual(numbers, [...Array(100).keys()]);
});

test("a program that ends sends the rest, and waits for nothing else", async (t) => {
  const { door, folder } = await setUp(t);
  const writer = start(WRITER, door.url, join(folder, "spool"), "25", "end");
  const [code] = (await writer.ended) as [number];
  assert.equal(code, 0);
  assert.equal(door.events.size, 25);
  assert.match(writer.output(), /losses \{\}/);
});

test("a program outlives a server that hangs by its timeout alone, and nothing is lost", async (t) => {
  const { door, folder, make } = await setUp(t);
  const spoolDirectory = join(folder, "spool");
  door.behaviours = ["hang"];
  const started = performance.now();
  const writer = start(WRITER, door.url, spoolDirectory, "5", "end", "0.2");
  await writer.ended;
  assert.ok(performance.now() - started < 5000);
  assert.match(writer.output(), /losses \{\}/);
  make({ spoolDirectory });
  await door.waitFor(5);
});

test("process.exit stores the rest for the next start", async (t) => {
  const { door, folder, make } = await setUp(t);
  const spoolDirectory = join(folder, "spool");
  const writer = start(WRITER, door.url, spoolDirectory, "25", "exit");
  await writer.ended;
  assert.match(writer.output(), /losses \{\}/);
  make({ spoolDirectory });
  await door.waitFor(25);
});

test("several processes share a spool, and each event arrives once", async (t) => {
  const { door, folder, make } = await setUp(t);
  const spoolDirectory = join(folder, "spool");
  await door.close();
  const writers = [...Array(3)].map(() => start(WRITER, door.url, spoolDirectory, "40", "wait"));
  for (const writer of writers) {
    await until(() => writer.output().includes("ready"), "the writer has spooled");
  }
  await door.open();
  make({ spoolDirectory });
  await door.waitFor(120);
  for (const writer of writers) writer.child.kill("SIGKILL");
  await Promise.all(writers.map((writer) => writer.ended));
  assert.equal(
    door.bodies.reduce((sum, count) => sum + count, 0),
    120,
  );
});

test("a spool that cannot be written is told of once, and events wait in memory", async (t) => {
  const { door, reports, folder, make } = await setUp(t);
  writeFileSync(join(folder, "file"), "");
  await door.close();
  const client = make({ spoolDirectory: join(folder, "file", "spool"), flushAt: 5 });
  for (let number = 0; number < 20; number += 1) client.record(EVENT);
  assert.equal(await client.flush(0.3), false);
  await door.open();
  await door.waitFor(20);
  assert.deepEqual(client.losses.counts(), {});
  assert.deepEqual(
    reports.map((report) => report.reason),
    ["spool_unusable"],
  );
});

test("a disk that is full loses nothing that memory can hold, and says so once", async (t) => {
  const { door, reports, make } = await setUp(t);
  await door.close();
  // Every write to this file fails as on a full disk.
  const spool = new DiskSpool("/dev/full", 2 ** 20, () => undefined);
  assert.equal(await spool.append(lines(1)), "unusable");
  assert.notEqual(spool.failure, "");
  const client = make({ spoolDirectory: "/dev/full" });
  client.record(EVENT);
  assert.equal(await client.flush(0.2), false);
  await door.open();
  await door.waitFor(1);
  assert.deepEqual(
    reports.map((report) => report.reason),
    ["spool_unusable"],
  );
});

test("a spool that is full loses what comes later, and counts it", async (t) => {
  const { door, reports, make } = await setUp(t);
  await door.close();
  const client = make({ maxSpoolBytes: 2 ** 16, flushAt: 50 });
  for (let number = 0; number < 1000; number += 1) client.record(EVENT);
  await until(() => "spool_full" in client.losses.counts(), "the spool is full");
  await client.flush(0.2);
  await door.open();
  const kept = 1000 - client.losses.counts()["spool_full"]!;
  await door.waitFor(kept);
  assert.equal(await client.flush(10), true);
  assert.equal(door.events.size, kept);
  assert.deepEqual(
    reports.map((report) => report.reason),
    ["spool_full"],
  );
});

test("two keys never share a segment", async (t) => {
  const { door, folder, make } = await setUp(t);
  await door.close();
  const client = make({ apiKey: "one" });
  client.record(EVENT);
  await client.flush(0.2);
  await client.shutdown(0.1);
  const folders = readdirSync(join(folder, "spool"));
  assert.equal(folders.length, 1);
  const [name] = readdirSync(join(folder, "spool", folders[0]!));
  assert.match(readFileSync(join(folder, "spool", folders[0]!, name!), "utf8"), /acme/);
  await door.open();
  make({ apiKey: "two" });
  make({ apiKey: "one" });
  await door.waitFor(1);
  assert.equal(door.headers.authorization, "Bearer one");
});
