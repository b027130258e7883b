/** Clauses: bytes come back as they were given, under the key they were given for. */
import { bytesOf, everyByte, expectBytes, expectStored, fresh, patternOf, readStored } from "./bytes.ts";
import type { BlobContext } from "./blob-store.ts";
import type { Clause } from "./runner.ts";

const LARGE_BYTES = 1024 * 1024;

/** Keys that file names, URLs, SQL patterns and case-folding collations are known to spoil. */
const ODD_KEYS: readonly string[] = [
  "tk:v1:user:00000000-0000-0000-0000-000000000001.00000000-0000-0000-0000-000000000002",
  "100%",
  "%25",
  "..",
  "../up",
  "a/b\\c",
  "a b+c&d=e?f#g",
  "quote'quote\"quote`",
  "{tag}key",
  "a*b[c]",
  "tab\tline\nend",
  "Ünïcödé ключ 鍵 🔑",
  "__proto__",
  "x".repeat(1_000),
];

/** Each differs from its neighbours by what a careless backend folds together. */
const SIMILAR_KEYS: readonly string[] = [
  "key",
  "KEY",
  "Key",
  "key ",
  " key",
  "key\u00e9",
  "keye\u0301",
  "key_",
  "key%",
  "keyx",
  "ke",
  "key:",
  "key/",
  "k\u0131",
  "ki",
];

export const valueClauses: readonly Clause<BlobContext>[] = [
  {
    title: "a miss is undefined: it is not an error",
    async check({ store, expect }) {
      expect(await store.get("absent")).toBe(undefined);
      expect(await store.get("absent", { unlessVersion: fresh() })).toBe(undefined);
    },
  },
  {
    title: "the bytes 0 to 255 come back unchanged, with the version they were given",
    check: (context) => checkRoundTrip(context, everyByte()),
  },
  {
    title: "an empty value comes back empty; it is not a miss",
    check: (context) => checkRoundTrip(context, new Uint8Array(0)),
  },
  {
    title: "a value of 1 MiB comes back unchanged, or as large as the store says it takes",
    async check(context) {
      const { store, maxValueBytes, longMs, expect } = context;
      await checkRoundTrip(context, patternOf(maxValueBytes));
      if (maxValueBytes >= LARGE_BYTES) return;
      const options = { version: fresh(), ifVersion: null, ttlMs: longMs };
      const refused = await store.put("too large", patternOf(maxValueBytes + 1), options).then(
        () => false,
        () => true,
      );
      expect(refused).toBe(true);
    },
  },
  {
    title: "hands back the bytes it was given, also if the caller changes its own array afterwards",
    async check({ store, longMs, expect }) {
      // A view in the middle of a larger buffer: what is around it is not part of the value.
      const given = everyByte();
      const view = Buffer.from(given.buffer, 100, 20);
      const expected = new Uint8Array(view);
      const version = fresh();
      await store.put("key", view, { version, ifVersion: null, ttlMs: longMs });
      given.fill(0);
      await expectStored(expect, store, "key", { bytes: expected, version });
    },
  },
  {
    title: "hands back the bytes it was given, also if a reader changes what it was handed",
    async check({ store, longMs, expect }) {
      const version = fresh();
      const options = { version, ifVersion: null, ttlMs: longMs };
      await store.put("key", everyByte(), options);
      (await readStored(expect, store, "key")).bytes.fill(0);
      await expectStored(expect, store, "key", { bytes: everyByte(), version });
      const conflict = await store.put("key", bytesOf("late"), { ...options, version: fresh() });
      if (!conflict.stored) conflict.current?.bytes.fill(0);
      await expectStored(expect, store, "key", { bytes: everyByte(), version });
    },
  },
  {
    title: "a key may hold any character: colon, percent, dots, slashes, quotes, Unicode, 1,000 of them",
    check: (context) => checkSeparate(context, ODD_KEYS),
  },
  {
    title: "keys that differ only by case, spaces, accents or a wildcard are different keys",
    check: (context) => checkSeparate(context, SIMILAR_KEYS),
  },
  {
    title: 'get with unlessVersion answers "unchanged" for that version, and the bytes for any other',
    async check({ store, longMs, expect }) {
      const [first, next] = [fresh(), fresh()];
      await store.put("key", bytesOf("first"), { version: first, ifVersion: null, ttlMs: longMs });
      expect(await store.get("key", { unlessVersion: first })).toBe("unchanged");
      await store.put("key", bytesOf("next"), { version: next, ifVersion: first, ttlMs: longMs });
      const stored = await store.get("key", { unlessVersion: first });
      expect(typeof stored).toBe("object");
      if (typeof stored !== "object") return;
      expect(stored.version).toBe(next);
      expectBytes(expect, stored.bytes, bytesOf("next"));
    },
  },
  {
    title: "a second client reads what the first has written",
    async check({ store, second, longMs, expect }) {
      const [first, next] = [fresh(), fresh()];
      await store.put("key", bytesOf("first"), { version: first, ifVersion: null, ttlMs: longMs });
      await expectStored(expect, second, "key", { bytes: bytesOf("first"), version: first });
      await second.put("key", bytesOf("next"), { version: next, ifVersion: first, ttlMs: longMs });
      await expectStored(expect, store, "key", { bytes: bytesOf("next"), version: next });
    },
  },
];

async function checkRoundTrip(
  { store, longMs, expect }: Parameters<Clause<BlobContext>["check"]>[0],
  bytes: Uint8Array,
): Promise<void> {
  const version = fresh();
  const answer = await store.put("key", bytes, { version, ifVersion: null, ttlMs: longMs });
  expect(answer.stored).toBe(true);
  await expectStored(expect, store, "key", { bytes, version });
}

/** All keys at once, so that one which stands in for another is seen. */
async function checkSeparate(
  { store, longMs, expect }: Parameters<Clause<BlobContext>["check"]>[0],
  keys: readonly string[],
): Promise<void> {
  const versions = new Map(keys.map((key) => [key, fresh()]));
  for (const [key, version] of versions) {
    const answer = await store.put(key, bytesOf(key), { version, ifVersion: null, ttlMs: longMs });
    expect(answer.stored).toBe(true);
  }
  for (const [key, version] of versions)
    await expectStored(expect, store, key, { bytes: bytesOf(key), version });
  for (const [key, version] of versions) expect(await store.delete(key, { ifVersion: version })).toBe(true);
}
