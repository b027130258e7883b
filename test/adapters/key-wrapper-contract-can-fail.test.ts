/** The contract of key wrappers, run on wrappers that break one promise each: the suite must say which. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { expect, test } from "vitest";

import { TokenkeepError, type KeyWrapper } from "../../src/index.ts";
import { keyWrapperContract, type OpenedKeyWrapper } from "../../src/testing/index.ts";

const IV = Buffer.alloc(8, 0xa6);

/** A service in memory, and a wrapper that keeps every promise. */
function service() {
  const versions = new Map<string, Buffer>([["v1", randomBytes(32)]]);
  const state: { fault?: "down" | "hangs" | "forbidden" } = {};
  async function reached(signal: AbortSignal): Promise<void> {
    if (state.fault === "down") throw new Error("down");
    if (state.fault !== "hangs") return;
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  }
  const refused = (): TokenkeepError => new TokenkeepError("ERR_KEYS_REFUSED", "refused");
  const wrapper: KeyWrapper = {
    name: "memory",
    async wrap(dataKey, { signal }) {
      await reached(signal);
      const [keyVersion, key] = [...versions].at(-1)!;
      const cipher = createCipheriv("id-aes256-wrap", key, IV);
      return { wrapped: Buffer.concat([cipher.update(dataKey), cipher.final()]), keyVersion };
    },
    async unwrap(wrapped, { keyVersion, signal }) {
      await reached(signal);
      const key = versions.get(keyVersion);
      if (key === undefined || wrapped.length < 24 || state.fault === "forbidden") throw refused();
      try {
        const decipher = createDecipheriv("id-aes256-wrap", key, IV);
        return Buffer.concat([decipher.update(wrapped), decipher.final()]);
      } catch {
        throw refused();
      }
    },
  };
  return { wrapper, state, rotate: () => void versions.set(`v${versions.size + 1}`, randomBytes(32)) };
}

type Break = (good: KeyWrapper) => Partial<KeyWrapper>;

/** What is broken, how, and the clause that says so. */
const FAULTS: readonly (readonly [string, Break, string])[] = [
  ["gives another key back", () => ({ unwrap: async () => randomBytes(32) }), "a key comes back as it went"],
  [
    "does not wrap",
    () => ({
      wrap: async (key) => ({ wrapped: Uint8Array.from(key), keyVersion: "v1" }),
      unwrap: async (wrapped) => Uint8Array.from(wrapped),
    }),
    "the key does not stand in what it is wrapped as",
  ],
  [
    "names a version with a comma",
    (good) => ({
      wrap: async (...given) => ({ ...(await good.wrap(...given)), keyVersion: "v1,0" }),
      unwrap: (wrapped, options) => good.unwrap(wrapped, { ...options, keyVersion: "v1" }),
    }),
    "the version is 1 to 512 visible ASCII characters",
  ],
  [
    "keeps the caller's bytes",
    () => {
      const kept: Uint8Array[] = [];
      return {
        wrap: async (key) => ({ wrapped: Uint8Array.of(kept.push(key) - 1), keyVersion: "v1" }),
        unwrap: async ([index = 0]) => Uint8Array.from(kept[index] ?? []),
      };
    },
    "the caller's bytes are left as they are, and are not kept",
  ],
  [
    "hands one array to everybody",
    (good) => {
      let kept: Promise<Uint8Array> | undefined;
      return { unwrap: (...given) => (kept ??= good.unwrap(...given)) };
    },
    "an unwrapped key is its receiver's own",
  ],
  [
    "mixes calls that overlap",
    (good) => {
      let last: ReturnType<KeyWrapper["wrap"]>;
      return {
        wrap: async (...given) => {
          last = good.wrap(...given);
          await Promise.resolve();
          return last;
        },
      };
    },
    "calls that overlap do not mix their keys",
  ],
  [
    "takes a refusal for a failure",
    (good) => ({
      unwrap: (...given) => good.unwrap(...given).catch(() => Promise.reject(new Error("refused"))),
    }),
    "what it has not wrapped is refused for good",
  ],
  [
    "shows keys in its errors",
    (good) => {
      const keys: string[] = [];
      const told = (): TokenkeepError => new TokenkeepError("ERR_KEYS_REFUSED", keys.join(" "));
      return {
        wrap: (key, options) => (keys.push(Buffer.from(key).toString("hex")), good.wrap(key, options)),
        unwrap: (...given) => good.unwrap(...given).catch(() => Promise.reject(told())),
      };
    },
    "an error of unwrapping shows nothing of the key",
  ],
  [
    "forgets old versions",
    (good) => {
      let newest = "v1";
      return {
        async wrap(...given) {
          const answer = await good.wrap(...given);
          newest = answer.keyVersion;
          return answer;
        },
        unwrap: (wrapped, options) => good.unwrap(wrapped, { ...options, keyVersion: newest }),
      };
    },
    "after a rotation the old version still unwraps",
  ],
  [
    "takes an outage for a refusal",
    (good) => ({
      unwrap: (...given) =>
        good.unwrap(...given).catch(() => Promise.reject(new TokenkeepError("ERR_KEYS_REFUSED", "no"))),
    }),
    "a service that does not answer is an error, and none that refuses for good",
  ],
  [
    "does not listen to the signal",
    (good) => ({
      wrap: (key) => good.wrap(key, { signal: new AbortController().signal }),
    }),
    "a call is given up when its signal is aborted",
  ],
  [
    "unwraps for everybody",
    (good) => {
      const keys = new Map<string, Uint8Array>();
      return {
        async wrap(key, options) {
          const answer = await good.wrap(key, options);
          keys.set(Buffer.from(answer.wrapped).toString("hex"), Uint8Array.from(key));
          return answer;
        },
        async unwrap(wrapped, options) {
          const known = keys.get(Buffer.from(wrapped).toString("hex"));
          return known ? Uint8Array.from(known) : good.unwrap(wrapped, options);
        },
      };
    },
    "a right that is missing is refused for good",
  ],
];

/** A clause that never ends is as red as one that throws. */
const PATIENCE_MS = 2_000;

/** The titles of the clauses that go red for the wrapper that `breakIt` makes of a good one. */
async function redTitles(breakIt: Break): Promise<{ readonly red: string[]; readonly all: string[] }> {
  const clauses: [title: string, body: () => Promise<void>][] = [];
  keyWrapperContract({
    name: "broken",
    test: (title, body) => clauses.push([title, body]),
    expect,
    capabilities: { canRotate: true, canFail: true, canHang: true, canForbid: true },
    async open(): Promise<OpenedKeyWrapper> {
      const { wrapper, state, rotate } = service();
      return {
        wrapper: { ...wrapper, ...breakIt(wrapper) },
        rotate,
        fail: () => void (state.fault = "down"),
        hang: () => void (state.fault = "hangs"),
        forbid: () => void (state.fault = "forbidden"),
        close: async () => undefined,
      };
    },
  });
  const red: string[] = [];
  for (const [title, body] of clauses) {
    const endless = new Promise<false>((resolve) => setTimeout(resolve, PATIENCE_MS, false));
    const isGreen = body().then(
      () => true,
      () => false,
    );
    if (!(await Promise.race([isGreen, endless]))) red.push(title);
  }
  return { red, all: clauses.map(([title]) => title) };
}

test("no clause goes red for a wrapper that keeps every promise", async () => {
  const { red, all } = await redTitles(() => ({}));
  expect(red).toEqual([]);
  expect(all.length).toBeGreaterThan(10);
});

test.each(FAULTS)("a wrapper that %s is caught", async (_fault, breakIt, clause) => {
  const { red } = await redTitles(breakIt);
  expect(red.filter((title) => title.includes(clause))).toHaveLength(1);
});

test("every clause goes red for at least one of these wrappers", async () => {
  const { all } = await redTitles(() => ({}));
  expect(all.filter((title) => !FAULTS.some(([, , clause]) => title.includes(clause)))).toEqual([]);
});
