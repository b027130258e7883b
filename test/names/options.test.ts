import { expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createTokenCache, generateKey } from "../../src/index.ts";
import { testKeys } from "../support/world.ts";

const key = new Uint8Array(32).fill(5);
const other = new Uint8Array(32).fill(6);
const made = (names: unknown, keys: unknown = testKeys()) =>
  createTokenCache({ store: memoryStore(), keys: keys as never, names: names as never });

test.each<[string, unknown]>([
  ["names", "a key"],
  ["names.key", {}],
  ["names.keys", { keys: key }],
  ["names.key", { key: "too short" }],
  ["names.key", { key: key.subarray(1) }],
  ["names.key", { key: `${generateKey()},${generateKey()}` }],
  ["names.next", { key, next: 5 }],
  ["names.next", { key, next: key }],
  ["names.previous", { key, previous: Buffer.from(key).toString("base64") }],
  ["names", { key, next: other, previous: "clear" }],
  ["names.key", { key: "clear" }],
])("a wrong name key is named, and not shown: %s", (option, names) => {
  expect(() => made(names)).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
});

test("names need keys that seal: what they do not say any more has to be kept somewhere", () => {
  for (const keys of ["unsealed", undefined]) {
    const making = (): unknown => createTokenCache({ names: { key }, keys: keys as never });
    expect(making).toThrow(expect.objectContaining({ option: "names" }));
  }
});

test("a name key is taken in every form that keys have", async () => {
  const text = Buffer.from(key).toString("base64url");
  for (const names of [{ key }, { key: text }, { key: `n:${text}` }, { key: "clear", next: key }]) {
    await made(names).close();
  }
});
