/** What `record`, `call`, `recorded` and `context` make of a program's calls. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import * as edge from "../src/index.js";
import { PORTABLE } from "../src/portable.js";
import { StackStore } from "../src/shared.js";
import {
  Call,
  call,
  context,
  losses,
  record,
  recorded as recordedFunction,
  VERSION,
} from "../src/index.node.js";
import { EVENT, startRecording } from "./recording.js";

class LimitError extends Error {
  readonly status = 429;
}

describe("recording", async () => {
  const { door, reports, recorded, start } = await startRecording({ environment: "test" });

  test("an event has its identity, time and origin", async () => {
    const before = Date.now();
    record(EVENT);
    const [event] = await recorded();
    assert.match(
      event!.event_id,
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const startedAt = Date.parse(String(event!["started_at"]));
    assert.ok(startedAt >= before && startedAt <= Date.now());
    assert.equal(event!["sdk_name"], "llmscope-typescript");
    assert.equal(event!["sdk_version"], VERSION);
    assert.equal(event!["environment"], "test");
  });

  test("ids are ordered by time", async () => {
    record(EVENT);
    await pause(2);
    record(EVENT);
    const [first, second] = await recorded();
    assert.ok(first!.event_id < second!.event_id);
  });

  test("what is too long is cut, and what Postgres cannot store left out", async () => {
    record({
      ...EVENT,
      user_id: "u".repeat(300),
      error_message: "a\0b \\u0000 \ud800 é",
      tags: { [`${"k".repeat(70)}`]: "v".repeat(300), empty: "" },
      usage_details: { large: "x".repeat(20_000) },
      response_finish_reasons: Array(40).fill("stop") as string[],
    });
    const [event] = await recorded();
    assert.equal(event!["user_id"], "u".repeat(256));
    assert.equal(event!["error_message"], "ab \\u0000 ? é");
    assert.deepEqual(event!["tags"], { ["k".repeat(64)]: "v".repeat(256), empty: "" });
    assert.equal(event!["usage_details"], undefined);
    assert.equal((event!["response_finish_reasons"] as string[]).length, 32);
  });

  test("what is no event is counted and never thrown", async () => {
    record({ provider_name: "acme" });
    record({ ...EVENT, colour: "red" } as never);
    const self: Record<string, unknown> = {};
    self["self"] = self;
    record({ ...EVENT, usage_details: self });
    record({ ...EVENT, started_at: new Date(Number.NaN) });
    assert.equal((await recorded()).length, 1);
    assert.equal(losses()["invalid"], 2);
    assert.deepEqual(
      reports.map((report) => report.reason),
      ["invalid", "internal"],
    );
  });

  test("a call around a function has its duration, and what it was told", async () => {
    const answer = await call("acme", "m1", async (going) => {
      await pause(20);
      going.set({ input_tokens: 12 });
      return "Hi";
    });
    assert.equal(answer, "Hi");
    const [event] = await recorded();
    assert.equal(event!["input_tokens"], 12);
    assert.equal(event!["operation_name"], "chat");
    assert.ok(Number(event!["duration_seconds"]) > 0.015);
  });

  test("a call that throws is recorded, and throws the same", async () => {
    const thrown = new LimitError("slow down");
    const fails = () => {
      throw thrown;
    };
    assert.throws(
      () => call("acme", "m1", fails),
      (error) => error === thrown,
    );
    await assert.rejects(
      call("acme", "m1", async () => fails()),
      (error) => error === thrown,
    );
    const events = await recorded();
    assert.equal(events.length, 2);
    for (const event of events) {
      assert.equal(event["error_type"], "429");
      assert.equal(event["http_status_code"], 429);
      assert.equal(event["error_message"], "slow down");
    }
  });

  test("the failures of time and will have names of their own", async () => {
    const timeout = AbortSignal.timeout(1);
    await assert.rejects(call("acme", "m1", () => pause(1000, undefined, { signal: timeout })));
    const aborted = AbortSignal.abort();
    await assert.rejects(call("acme", "m1", () => fetch("http://127.0.0.1", { signal: aborted })));
    assert.throws(() => call("acme", "m1", () => (null as unknown as string[]).length));
    const kinds = (await recorded()).map((event) => event["error_type"]);
    assert.deepEqual(kinds.slice(1), ["cancelled", "TypeError"]);
  });

  test("a recorded function keeps its arguments, its this and its result", async () => {
    const service = {
      factor: 2,
      ask: recordedFunction(
        "acme",
        "m1",
        function (this: { factor: number }, number: number) {
          return Promise.resolve({ tokens: number * this.factor });
        },
        { describe: (answer) => ({ output_tokens: answer.tokens }) },
      ),
    };
    assert.deepEqual(await service.ask(21), { tokens: 42 });
    const [event] = await recorded();
    assert.equal(event!["output_tokens"], 42);
  });

  test("a describe that throws harms neither the call nor its event", async () => {
    const ask = recordedFunction("acme", "m1", () => 1, {
      describe: () => {
        throw new Error("broken");
      },
    });
    assert.equal(ask(), 1);
    assert.equal((await recorded()).length, 1);
  });

  test("a call that is ended twice is one event", async () => {
    const going = new Call(EVENT);
    going.end();
    going.end(new Error("late"));
    const events = await recorded();
    assert.equal(events.length, 1);
    assert.equal(events[0]!["error_type"], undefined);
  });

  test("a context holds through awaits, joins its tags, and ends", async () => {
    await context({ user_id: "ann", tags: { a: "1", b: "1" } }, async () => {
      await pause(1);
      await context({ conversation_id: "c", tags: { b: "2" } }, async () => {
        await pause(1);
        record({ ...EVENT, tags: { c: "3" } });
      });
      record(EVENT);
    });
    record(EVENT);
    const [inner, outer, outside] = await recorded();
    assert.deepEqual(inner!["tags"], { a: "1", b: "2", c: "3" });
    assert.deepEqual([inner!["user_id"], inner!["conversation_id"]], ["ann", "c"]);
    assert.deepEqual(outer!["tags"], { a: "1", b: "1" });
    assert.equal(outside!["user_id"], undefined);
  });

  test("contexts of calls that run at once do not mix", async () => {
    const one = async (user_id: string) => {
      await context({ user_id }, async () => {
        await pause(Math.random() * 5);
        record({ ...EVENT, request_model: user_id });
      });
    };
    await Promise.all([..."abcdefgh"].map(one));
    const events = await recorded();
    assert.equal(events.length, 8);
    for (const event of events) assert.equal(event["user_id"], event["request_model"]);
  });

  test("an event has the context in which its call began", async () => {
    const going = context({ user_id: "ann" }, () => new Call(EVENT));
    context({ user_id: "bob" }, () => going.end());
    const [event] = await recorded();
    assert.equal(event!["user_id"], "ann");
  });

  test("edge runtimes find the storage of contexts by themselves", async () => {
    const store = PORTABLE.contextStore();
    await store.run({ user_id: "ann" }, async () => {
      await pause(1);
      const isKept = !(store instanceof StackStore);
      assert.equal(store.get()?.user_id, isKept ? "ann" : undefined);
    });
    const stack = new StackStore();
    stack.run({ user_id: "ann" }, () => assert.equal(stack.get()?.user_id, "ann"));
    assert.equal(stack.get(), undefined);
  });

  test("the build for edge runtimes records as well", async () => {
    edge.init({ apiKey: "k", url: door.url });
    edge.wrap({ makeRequest: () => undefined });
    edge.record(EVENT);
    assert.equal(await edge.flush(10), true);
    assert.equal((await recorded()).length, 1);
    start();
  });

  test("content is recorded only where it is asked for", async () => {
    const content = { ...EVENT, input_messages: [{ role: "user", content: "secret" }] };
    record(content);
    assert.equal((await recorded())[0]!["input_messages"], undefined);
    start({ captureContent: true });
    record(content);
    assert.deepEqual((await recorded())[0]!["input_messages"], content.input_messages);
    start();
  });

  test("nothing is recorded where recording is off", async () => {
    start({ isEnabled: false });
    record(EVENT);
    assert.equal(await call("acme", "m1", () => 1), 1);
    assert.equal((await recorded()).length, 0);
    assert.deepEqual(losses(), {});
    start();
  });
});
