import { describe, expect, test } from "vitest";
import { stringSecrets } from "../../examples/demo/scan.ts";
import { memoryStore } from "../../src/adapters/memory.ts";
import { TokenkeepError } from "../../src/errors.ts";
import { createTape, tapConsole, tapStore, type Tape } from "./tape.ts";
import { createWindowScan } from "./windows.ts";

const TOKEN = "0.AXkAh-refresh-token-that-nobody-may-see-0123456789";
const scan = createWindowScan(stringSecrets("token", [TOKEN]));
const waysOf = (tape: Tape): string[] => scan.find(tape.haystacks()).map(({ where }) => where);

const hidden = Object.defineProperty(new Error("failed"), "token", { value: TOKEN, enumerable: false });
const places: readonly (readonly [string, unknown])[] = [
  ["an error's message", new Error(`cannot use ${TOKEN}`)],
  ["an error's property", Object.assign(new Error("failed"), { response: { body: TOKEN } })],
  ["a hidden property", hidden],
  ["an error's cause", new Error("failed", { cause: new Error("first", { cause: new Error(TOKEN) }) })],
  ["a cause of ours", new TokenkeepError("ERR_STORE_UNAVAILABLE", "down", { cause: { command: [TOKEN] } })],
  ["an event", { type: "store-failed", error: Object.assign(new Error("no"), { args: [TOKEN] }) }],
  ["bytes deep inside", { a: { b: { c: [{ bytes: Buffer.from(TOKEN) }] } } }],
  [
    "bytes, a long way from their beginning",
    { bytes: Buffer.concat([Buffer.alloc(5_000), Buffer.from(TOKEN)]) },
  ],
];

describe("a tape has what is in", () => {
  test.each(places)("%s", (_place, value) => {
    const tape = createTape();
    tape.note("here", value);
    expect(waysOf(tape)).toEqual(["here"]);
  });
});

test("a tape has what is printed, and nothing that is printed later", () => {
  const tape = createTape();
  const giveBack = tapConsole(tape);
  process.stderr.write(`${TOKEN}\n`);
  giveBack();
  expect(waysOf(tape)).toEqual(["console"]);
});

test("a tape has what is said to a store, and to others through it", async () => {
  const tape = createTape();
  const store = tapStore(memoryStore(), tape);
  await store.put("key", Buffer.from(TOKEN), { version: "1", ifVersion: null, ttlMs: 1_000 });
  await store.lease!.acquire(TOKEN, { owner: "me", ttlMs: 1_000 });
  await store.backplane!.publish({ key: TOKEN, version: "1" });
  await store.activity!.delete(TOKEN, { ifRevision: "1" });
  expect(waysOf(tape).toSorted()).toEqual([
    "activity rows",
    "leases",
    "messages to other processes",
    "what is said to the store",
  ]);
});
