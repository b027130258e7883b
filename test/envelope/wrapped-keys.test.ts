import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";

import { OptionsError, TokenkeepError } from "../../src/errors.ts";
import type { KeySource, WrappedKeysOptions } from "../../src/envelope/wrapped-keys.ts";
import { keysFromWrapped } from "../../src/envelope/wrapped-keys.ts";
import { rewrapKeys } from "../../src/envelope/rewrap-keys.ts";
import { newWrappedKey } from "../../src/envelope/new-wrapped-key.ts";
import { keyRingWrapper } from "../../src/envelope/key-ring-wrapper.ts";
import { createKeyRing, generateKey, parseKeys } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";
import { CONTEXT, KEY_ONE, KEY_TWO, RING } from "./support.ts";
import { errorOf } from "../support/error-of.ts";
import { createTape } from "../canary/tape.ts";
import { createWindowScan } from "../canary/windows.ts";
import { testWrapper, type TestWrapper } from "./wrapper.ts";

const HOUR = 3_600_000;

interface Setting {
  readonly wrapper: TestWrapper;
  readonly runtime: FakeRuntime;
  /** Two entries, `new` and `old`. */
  text: string;
  readonly source: KeySource;
  readonly grace: string[];
  /** A load that tells `grace`. */
  load(): ReturnType<KeySource["load"]>;
}

async function setting(options: Partial<WrappedKeysOptions> = {}): Promise<Setting> {
  const wrapper = testWrapper();
  const runtime = fakeRuntime();
  const grace: string[] = [];
  const entries = [await newWrappedKey(wrapper, { id: "new" }), await newWrappedKey(wrapper, { id: "old" })];
  wrapper.calls = 0;
  const made: Setting = {
    wrapper,
    runtime,
    text: entries.join("\n"),
    grace,
    source: keysFromWrapped({
      wrapper,
      keys: () => made.text,
      runtime,
      ...options,
    }),
    load: () =>
      made.source.load({
        onGrace: ({ error, remainingMs }) => grace.push(`${error.code} ${remainingMs / HOUR}`),
      }),
  };
  return made;
}

/** An entry that the provider refuses while it unwraps all the others. */
async function refusedEntry({ wrapper }: Setting): Promise<string> {
  const entry = await newWrappedKey(wrapper, { id: "bad" });
  const refused = entry.slice(entry.lastIndexOf(":") + 1);
  const { unwrap } = wrapper;
  wrapper.unwrap = async (wrapped, options) => {
    if (Buffer.from(wrapped).toString("base64url") !== refused) return unwrap(wrapped, options);
    throw new TokenkeepError("ERR_KEYS_REFUSED", "that version is disabled");
  };
  return entry;
}

describe("wrapped keys", () => {
  test("are the ring's keys, the first of them its sealing key", async () => {
    const { wrapper, source } = await setting();
    const ring = await source.load();
    expect(ring.sealingKeyId).toBe("new");
    expect(ring.keyIds).toEqual(["new", "old"]);
    expect(ring.find("new")?.export()).toEqual(wrapper.dataKeys[0]);
    expect(ring.find("old")?.export()).toEqual(wrapper.dataKeys[1]);
    expect(ring.find("other")).toBeUndefined();
    const sealer = createSealer(ring, systemRuntime);
    const opened = sealer.open(sealer.seal(Buffer.from("text"), CONTEXT), CONTEXT);
    expect(opened.ok && opened.plaintext.toString()).toBe("text");
  });

  test("are unwrapped once, whoever asks and how often", async () => {
    const { wrapper, source } = await setting();
    wrapper.fault = "hangs";
    const together = Array.from({ length: 50 }, () => source.load());
    await expect.poll(() => wrapper.calls).toBe(1);
    wrapper.fault = undefined;
    wrapper.release();
    const rings = await Promise.all(together);
    expect(new Set(rings).size).toBe(1);
    await source.load();
    expect(wrapper.calls).toBe(2); // one for each key
  });

  test("leave no bytes behind: what the provider handed over is zeroed", async () => {
    const { wrapper, source } = await setting();
    await source.load();
    expect(wrapper.handedOver.length).toBeGreaterThanOrEqual(4);
    for (const bytes of wrapper.handedOver) expect([...bytes].every((byte) => byte === 0)).toBe(true);
  });

  test("are zeroed, too, where they come when nobody waits any more", async () => {
    const { wrapper, runtime, source } = await setting({ budgetMs: 100 });
    wrapper.fault = "hangs";
    const loading = errorOf(source.load());
    await expect.poll(() => wrapper.calls).toBe(1);
    await runtime.advance(100);
    expect(await loading).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
    const before = wrapper.handedOver.length;
    wrapper.release();
    await expect.poll(() => wrapper.handedOver.length).toBe(before + 1);
    await expect.poll(() => wrapper.handedOver.at(-1)!.every((byte) => byte === 0)).toBe(true);
  });

  test("follow the text at each load: what is new is unwrapped, and nothing else", async () => {
    const made = await setting();
    await made.source.load();
    made.text = `${await newWrappedKey(made.wrapper, { id: "newer" })}\n${made.text}`;
    made.wrapper.calls = 0;
    const ring = await made.source.load();
    expect(ring.keyIds).toEqual(["newer", "new", "old"]);
    expect(made.wrapper.calls).toBe(1);
  });
});

describe("a provider that is down", () => {
  test("at the start is a clear, retryable error, and the next load asks again", async () => {
    const { wrapper, source } = await setting();
    wrapper.fault = "down";
    const error = await errorOf(source.load());
    expect(error).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
    expect(error.message).toBe(
      "key provider test-service: unwrapping key new: it failed (ServiceError ECONNRESET 503)",
    );
    wrapper.fault = undefined;
    expect((await source.load()).keyIds).toEqual(["new", "old"]);
  });

  test("does not take the keys away for the grace, then it does, and gives them back when it answers", async () => {
    const { wrapper, runtime, source, grace, load } = await setting({ refreshMs: HOUR, graceMs: 2 * HOUR });
    const first = await source.load();
    wrapper.fault = "down";
    await runtime.advance(HOUR - 1);
    await load();
    expect(grace).toEqual([]);

    await runtime.advance(HOUR + 1);
    const [inGrace] = await Promise.all([load(), source.load()]);
    expect(grace).toEqual(["ERR_KEYS_UNAVAILABLE 1"]);
    for (const ring of [first, inGrace]) expect(ring.find("old")?.export()).toEqual(wrapper.dataKeys[1]);

    await runtime.advance(HOUR);
    expect(await errorOf(source.load())).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
    for (const ring of [first, inGrace]) {
      expect(ring.find("new")).toBeUndefined();
      expect(ring.find("old")).toBeUndefined();
    }

    wrapper.fault = undefined;
    await source.load();
    expect(first.find("new")?.export()).toEqual(wrapper.dataKeys[0]);
  });

  test("is asked again when either clock says so: a machine may have slept", async () => {
    const { wrapper, runtime, source } = await setting({ refreshMs: HOUR });
    await source.load();
    const asleep = runtime.now() + HOUR;
    runtime.now = () => asleep;
    await source.load();
    expect(wrapper.calls).toBe(4);
    await runtime.advance(HOUR);
    runtime.now = () => asleep - 24 * HOUR; // somebody has set it back
    await source.load();
    expect(wrapper.calls).toBe(6);
  });

  test("is not asked, and takes nothing away, where nobody loads the keys anew", async () => {
    const { wrapper, runtime, source } = await setting({ refreshMs: HOUR, graceMs: HOUR });
    const ring = await source.load();
    await runtime.advance(1000 * HOUR);
    expect(ring.find("new")?.export()).toEqual(wrapper.dataKeys[0]);
    expect(wrapper.calls).toBe(2);
  });

  test("is waited for once in a load, not once for each key", async () => {
    const { wrapper, runtime, source } = await setting({ refreshMs: HOUR });
    await source.load();
    wrapper.fault = "down";
    wrapper.calls = 0;
    await runtime.advance(HOUR);
    await source.load();
    expect(wrapper.calls).toBe(1);
  });

  test("is not waited for longer than the budget, and is told so", async () => {
    let signal: AbortSignal | undefined;
    const { wrapper, runtime, text } = await setting();
    const source = keysFromWrapped({
      wrapper: {
        ...wrapper,
        unwrap(_wrapped, options) {
          signal = options.signal;
          return new Promise(() => undefined);
        },
      },
      keys: text,
      budgetMs: 700,
      runtime,
    });
    const loading = errorOf(source.load());
    await expect.poll(() => signal).toBeDefined();
    await runtime.advance(699);
    expect(signal?.aborted).toBe(false);
    await runtime.advance(1);
    expect((await loading).message).toContain("did not answer within 700 ms");
    expect(signal?.aborted).toBe(true);
    expect(runtime.pendingTimers()).toBe(0);
  });

  test("does not matter to a text that cannot be read for a while: the last one serves", async () => {
    const made = await setting({ keys: async () => made.text || Promise.reject(new Error("no such file")) });
    const text = made.text;
    made.text = "";
    expect(await errorOf(made.source.load())).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE" });
    made.text = text;
    await made.source.load();
    made.text = "";
    expect((await made.load()).keyIds).toEqual(["new", "old"]);
    expect(made.grace).toHaveLength(1);
  });
});

describe("a provider that refuses", () => {
  test("at the start is an error of the configuration, not to be tried again", async () => {
    const { wrapper, source } = await setting();
    wrapper.fault = "refuses";
    expect(await errorOf(source.load())).toMatchObject({
      code: "ERR_KEYS_REFUSED",
      retryable: false,
      message: "the right to unwrap is missing",
    });
  });

  test("ends the use of the key at once, in rings that are in use as well", async () => {
    const { wrapper, runtime, source } = await setting({ refreshMs: HOUR });
    const ring = await source.load();
    wrapper.fault = "refuses";
    await source.load();
    expect(ring.find("new")).toBeDefined(); // confirmed less than an hour ago
    await runtime.advance(HOUR);
    expect(await errorOf(source.load())).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(ring.find("new")).toBeUndefined();
    wrapper.fault = undefined;
    await source.load();
    expect(ring.find("new")?.export()).toEqual(wrapper.dataKeys[0]);
  });

  test("ends the use of every key that it refuses, not only of the first", async () => {
    const { wrapper, runtime, source } = await setting({ refreshMs: HOUR });
    const ring = await source.load();
    wrapper.fault = "refuses";
    await runtime.advance(HOUR);
    expect(await errorOf(source.load())).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(ring.find("new")).toBeUndefined();
    expect(ring.find("old")).toBeUndefined();
  });

  test("one key does not end the use of the others, which it still confirms", async () => {
    const made = await setting({ refreshMs: HOUR, graceMs: HOUR });
    const ring = await made.source.load();
    made.text = `${await refusedEntry(made)}\n${made.text}`;
    for (let hour = 0; hour < 4; hour += 1) {
      await made.runtime.advance(HOUR);
      expect(await errorOf(made.source.load())).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    }
    expect(ring.find("new")?.export()).toEqual(made.wrapper.dataKeys[0]);
    expect(ring.find("old")?.export()).toEqual(made.wrapper.dataKeys[1]);
  });

  test.each([
    ["wrong", () => "nonsense"],
    ["refused to be read", () => Promise.reject(new TokenkeepError("ERR_KEYS_REFUSED", "not yours"))],
  ])("ends the use of a key, too, while the text is %s", async (_how, wrong) => {
    let keys: () => string | Promise<string> = () => made.text;
    const made: Setting = await setting({ refreshMs: HOUR, keys: () => keys() });
    const ring = await made.source.load();
    keys = wrong;
    await made.runtime.advance(HOUR);
    await expect(made.source.load()).rejects.toThrow();
    expect(ring.find("new")).toBeDefined(); // the provider has confirmed it
    made.wrapper.fault = "refuses";
    await made.runtime.advance(HOUR);
    await expect(made.source.load()).rejects.toThrow();
    expect(ring.find("new")).toBeUndefined();
  });

  test("does so, too, by giving another key than before", async () => {
    const { wrapper, runtime, source } = await setting({ refreshMs: HOUR });
    const ring = await source.load();
    wrapper.unwrap = async () => Uint8Array.from(KEY_ONE);
    await runtime.advance(HOUR);
    const error = await errorOf(source.load());
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(error.message).toContain("another key than before");
    expect(ring.find("new")).toBeUndefined();
  });

  test.each([
    ["nothing", undefined],
    ["too little", KEY_ONE.subarray(1)],
    ["too much", Buffer.concat([KEY_ONE, KEY_TWO])],
    ["a text", KEY_ONE.toString("base64")],
  ])("by answering %s is refused itself", async (_what, answer) => {
    const { wrapper, source } = await setting();
    wrapper.unwrap = async () => answer as Uint8Array;
    const error = await errorOf(source.load());
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED", retryable: false });
    expect(String(error.stack)).not.toContain(KEY_ONE.toString("base64").slice(4, 40));
  });
});

test("no piece of a key stands in anything that is thrown or told, whatever the provider's own errors hold", async () => {
  const { wrapper, runtime, source, load } = await setting({ refreshMs: HOUR, graceMs: HOUR });
  const tape = createTape();
  wrapper.fault = "down";
  tape.note("errors", await errorOf(source.load()), await errorOf(newWrappedKey(wrapper)));
  wrapper.fault = undefined;
  tape.note("what is made", source, await load());
  wrapper.fault = "down";
  await runtime.advance(HOUR);
  await source.load({ onGrace: (problem) => tape.note("grace", problem) });
  await runtime.advance(HOUR);
  tape.note("errors", await errorOf(source.load()));
  for (const key of wrapper.dataKeys) {
    for (const thrown of [
      Object.assign(new Error(key.toString("hex")), { code: key.toString("base64url") }),
      Object.assign(new Error(), { name: key.toString("base64url"), cause: key }),
      key.toString("base64"),
      key,
    ]) {
      wrapper.unwrap = () => Promise.reject(thrown);
      tape.note("errors", await errorOf(source.load()));
      tape.note("the provider's own", thrown);
    }
  }
  const secrets = wrapper.dataKeys.map((value, index) => ({ label: `data key ${index}`, value }));
  const leaks = createWindowScan(secrets).find(tape.haystacks());
  expect(new Set(leaks.map(({ where }) => where))).toEqual(new Set(["the provider's own"]));
});

describe("a new wrapped key", () => {
  test("is an entry id:version:wrapped, with an id of its own or a given one", async () => {
    const wrapper = testWrapper();
    expect(await newWrappedKey(wrapper)).toMatch(/^k-[0-9a-f]{8}:v1:[A-Za-z0-9_-]{54}$/);
    expect(await newWrappedKey(wrapper, { id: "2026-11" })).toMatch(/^2026-11:v1:/);
    expect(new Set(wrapper.dataKeys.map(String)).size).toBe(2);
  });

  test("is handed over only after it could be unwrapped", async () => {
    const wrapper = testWrapper();
    wrapper.unwrap = async () => Uint8Array.from(KEY_ONE);
    const error = await errorOf(newWrappedKey(wrapper));
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(error.message).toContain("another key than it had wrapped");
  });

  test("leaves no bytes behind", async () => {
    const seen: Uint8Array[] = [];
    const wrapper = testWrapper();
    const wrap = wrapper.wrap.bind(wrapper);
    wrapper.wrap = (dataKey, options) => (seen.push(dataKey), wrap(dataKey, options));
    await newWrappedKey(wrapper);
    for (const bytes of [...seen, ...wrapper.handedOver])
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(seen).toHaveLength(1);
  });

  test("needs a version that can stand in a text", async () => {
    for (const keyVersion of ["", "a b", "a,b", "é", "a".repeat(513), undefined]) {
      const wrapper = testWrapper();
      wrapper.wrap = async () => ({ wrapped: KEY_ONE, keyVersion: keyVersion as string });
      expect(await errorOf(newWrappedKey(wrapper))).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    }
  });
});

describe("keys that are wrapped anew", () => {
  test("are the same keys under the same ids, and only the new wrapper is needed from then on", async () => {
    const { wrapper, text } = await setting();
    const to = keyRingWrapper(RING);
    const anew = await rewrapKeys(`${text} # yesterday's`, { from: wrapper, to });
    expect(anew).toMatch(/^new:one:[\w-]+\nold:one:[\w-]+$/);
    const ring = await keysFromWrapped({ wrapper: to, keys: anew }).load();
    expect(ring.keyIds.map((id) => ring.find(id)?.export())).toEqual(wrapper.dataKeys);
    for (const bytes of wrapper.handedOver) expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  test("by default stay with who has wrapped them", async () => {
    const { wrapper, text } = await setting();
    expect(await rewrapKeys(text, { from: wrapper })).toBe(text); // key wrapping of RFC 3394 is the same each time
  });

  test("are taken by a running process as what they are: the keys it has", async () => {
    const made = await setting({ wrapper: keyRingWrapper(RING) });
    const from = made.wrapper;
    made.text = await rewrapKeys(made.text, { from, to: keyRingWrapper(RING) });
    const first = await made.source.load();
    made.text = await rewrapKeys(made.text, { from: keyRingWrapper(RING) });
    const second = await made.source.load();
    for (const id of ["new", "old"]) expect(second.find(id)?.equals(first.find(id)!)).toBe(true);
  });

  test("are all or nothing, and need two wrappers that are ones", async () => {
    const { wrapper, text } = await setting();
    wrapper.fault = "down";
    expect(await errorOf(rewrapKeys(text, { from: wrapper }))).toMatchObject({
      code: "ERR_KEYS_UNAVAILABLE",
    });
    await expect(rewrapKeys(text, { from: {} as never })).rejects.toThrow("from");
    await expect(rewrapKeys(text, { from: wrapper, to: {} as never })).rejects.toThrow("to");
    await expect(rewrapKeys(text, { form: wrapper } as never)).rejects.toThrow("form");
    await expect(rewrapKeys("a:b", { from: wrapper })).rejects.toThrow("text");
  });
});

describe("the text of wrapped keys", () => {
  const wrapper = testWrapper();
  const optionError = (keys: unknown): OptionsError => {
    try {
      keysFromWrapped({ wrapper, keys: keys as string });
    } catch (error) {
      if (error instanceof OptionsError) return error;
      throw error;
    }
    throw new Error("nothing was thrown");
  };

  test("takes comments, commas and white space, and a version with colons in it", async () => {
    const versions: string[] = [];
    const entry = (id: string, version: string) => `${id}:${version}:AAAA`;
    const source = keysFromWrapped({
      wrapper: {
        ...wrapper,
        async unwrap(_wrapped, { keyVersion }) {
          versions.push(keyVersion);
          return Uint8Array.from(KEY_ONE);
        },
      },
      keys: `# the ring\n${entry("a", "1")}, ${entry("b", "arn:aws:kms:eu:1:key/x")} # yesterday's\n\n${entry("c", "https://v/k/1")}`,
    });
    expect((await source.load()).keyIds).toEqual(["a", "b", "c"]);
    expect(versions).toEqual(["1", "arn:aws:kms:eu:1:key/x", "https://v/k/1"]);
  });

  test.each([
    ["nothing", ""],
    ["only a comment", "# keys"],
    ["a key that is not wrapped", generateKey(undefined, "k")],
    ["an id of the wrong form", "a/b:v1:AAAA"],
    ["no version", "a::AAAA"],
    ["nothing that is wrapped", "a:v1:"],
    ["something else than base64", "a:v1:AA*A"],
    ["one id twice", "a:v1:AAAA a:v1:BBBB"],
    ["no text", 7],
  ])("with %s is refused at once, and not shown", (_what, text) => {
    const error = optionError(text);
    expect(error.option).toBe("keys");
    for (const part of String(text).split(":")) {
      if (part.length > 4) expect(String(error.stack)).not.toContain(part);
    }
  });

  test("that becomes wrong is an error, and the ring that was there stays", async () => {
    const made = await setting();
    const ring = await made.source.load();
    made.text = "nonsense";
    await expect(made.source.load()).rejects.toThrow(OptionsError);
    expect(ring.find("new")).toBeDefined();
  });

  test("is not the place for other options", () => {
    expect(() => keysFromWrapped({ wrapper, keys: "a:v1:AAAA", refreshMS: 1 } as never)).toThrow("refreshMs");
    expect(() => keysFromWrapped({ wrapper: {} as never, keys: "a:v1:AAAA" })).toThrow("wrapper");
    expect(() => keysFromWrapped({ wrapper, keys: "a:v1:AAAA", graceMs: -1 })).toThrow("graceMs");
    expect(() => keysFromWrapped(undefined as never)).toThrow(OptionsError);
  });
});

describe("a key ring as the wrapper", () => {
  test("wraps under its sealing key and unwraps what any of its keys has wrapped", async () => {
    const old = await newWrappedKey(keyRingWrapper(createKeyRing({ sealing: { id: "two", key: KEY_TWO } })), {
      id: "old",
    });
    const wrapper = keyRingWrapper(RING);
    const entry = await newWrappedKey(wrapper, { id: "new" });
    expect(entry).toMatch(/^new:one:/);
    expect(old).toMatch(/^old:two:/);
    const ring = await keysFromWrapped({ wrapper, keys: `${entry} ${old}` }).load();
    expect(ring.find("new")?.export()).not.toEqual(KEY_ONE);
    expect(ring.find("old")).toBeDefined();
  });

  test("refuses what another ring has wrapped, and what is not wrapped", async () => {
    const other = keyRingWrapper(parseKeys(generateKey(undefined, "one")));
    const stranger = keyRingWrapper(parseKeys(generateKey(undefined, "three")));
    for (const entry of [await newWrappedKey(other), await newWrappedKey(stranger), "a:one:AAAA"]) {
      const source = keysFromWrapped({ wrapper: keyRingWrapper(RING), keys: entry });
      expect(await errorOf(source.load())).toMatchObject({ code: "ERR_KEYS_REFUSED", retryable: false });
    }
  });

  test("does not open a record as a key", async () => {
    const record = Buffer.from(createSealer(RING, systemRuntime).seal(randomBytes(32), CONTEXT));
    const keys = `a:one:${record.toString("base64url")}`;
    const source = keysFromWrapped({ wrapper: keyRingWrapper(RING), keys });
    expect(await errorOf(source.load())).toMatchObject({ code: "ERR_KEYS_REFUSED" });
  });

  test("must be one", () => {
    for (const ring of [undefined, {}, "unsealed"]) {
      expect(() => keyRingWrapper(ring as never)).toThrow(OptionsError);
    }
  });
});
