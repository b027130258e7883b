/** Clauses: a value is replaced only if nobody else did so first. */
import { bytesOf, expectBytes, expectStored, fresh } from "./bytes.ts";
import type { BlobStore, PutResult, Version } from "../../store/blob-store.ts";
import type { BlobContext } from "./blob-store.ts";
import type { Clause } from "./runner.ts";

type Context = Parameters<Clause<BlobContext>["check"]>[0];

const RACING_WRITERS = 20;
const LOOPING_WRITERS = 4;
const LOOPS = 5;
const MEETINGS = 10;

export const swapClauses: readonly Clause<BlobContext>[] = [
  {
    title: "put with ifVersion null creates the key only when it is absent",
    async check(context) {
      const version = await put(context, "first", null);
      await expectLost(context, await tryPut(context.store, "again", null), { version, text: "first" });
      await expectStored(context.expect, context.store, "key", { bytes: bytesOf("first"), version });
    },
  },
  {
    title: "put with the stored version replaces the value and its version",
    async check(context) {
      const first = await put(context, "first", null);
      const next = await put(context, "next", first);
      await expectStored(context.expect, context.store, "key", { bytes: bytesOf("next"), version: next });
    },
  },
  {
    title: "put with a stale version loses, changes nothing, and the conflict is an answer, not an error",
    async check(context) {
      const first = await put(context, "first", null);
      const next = await put(context, "next", first);
      await expectLost(context, await tryPut(context.store, "late", first), { version: next, text: "next" });
      await expectStored(context.expect, context.store, "key", { bytes: bytesOf("next"), version: next });
    },
  },
  {
    title: "put with a version over an absent key loses, brings nothing, and creates nothing",
    async check({ store, expect }) {
      const lost = await tryPut(store, "late", fresh());
      expect(lost.stored).toBe(false);
      expect(lost.stored ? undefined : lost.current).toBe(undefined);
      expect(await store.get("key")).toBe(undefined);
    },
  },
  {
    title: `of ${RACING_WRITERS} writers creating one key at once exactly one wins`,
    check: (context) => checkRace(context, null),
  },
  {
    title: `of ${RACING_WRITERS} writers replacing one version at once exactly one wins`,
    async check(context) {
      await checkRace(context, await put(context, "first", null));
    },
  },
  {
    title: "writers that go on from what a conflict brought lose nothing: it is never what they started from",
    check: checkLoops,
  },
  {
    title: "a touch that meets a write does not undo it, nor make it lose",
    async check(context) {
      const { store, second, longMs, expect } = context;
      let version = await put(context, "0", null);
      for (let round = 1; round <= MEETINGS; round += 1) {
        const options = { version: fresh(), ifVersion: version, ttlMs: longMs };
        const [, answer] = await Promise.all([
          second.touch("key", { ifVersion: version, ttlMs: 2 * longMs }),
          store.put("key", bytesOf(`${round}`), options),
        ]);
        expect(answer.stored).toBe(true);
        version = options.version;
        await expectStored(expect, store, "key", { bytes: bytesOf(`${round}`), version });
      }
    },
  },
  {
    title: "after a put that reported a conflict, get sees the conflicting write",
    async check(context) {
      const { store, second, longMs, expect } = context;
      const first = await put(context, "first", null);
      const options = { version: fresh(), ifVersion: first, ttlMs: longMs };
      expect((await second.put("key", bytesOf("winner"), options)).stored).toBe(true);
      expect((await tryPut(store, "loser", first)).stored).toBe(false);
      await expectStored(expect, store, "key", { bytes: bytesOf("winner"), version: options.version });
    },
  },
  {
    title: "a version is not reissued: after delete and create the old version still loses",
    async check(context) {
      const { store, expect } = context;
      const first = await put(context, "same", null);
      expect(await store.delete("key", { ifVersion: first })).toBe(true);
      const again = await put(context, "same", null);
      expect((await tryPut(store, "late", first)).stored).toBe(false);
      expect(await store.delete("key", { ifVersion: first })).toBe(false);
      await expectStored(expect, store, "key", { bytes: bytesOf("same"), version: again });
    },
  },
  {
    title: "put with an old version after a delete does not bring the key back",
    async check(context) {
      const { store, expect } = context;
      const first = await put(context, "first", null);
      await store.delete("key", { ifVersion: first });
      expect((await tryPut(store, "late", first)).stored).toBe(false);
      expect(await store.get("key")).toBe(undefined);
    },
  },
  {
    title: "delete removes the value if it has that version",
    async check(context) {
      const { store, second, expect } = context;
      const version = await put(context, "first", null);
      expect(await store.delete("key", { ifVersion: version })).toBe(true);
      expect(await store.get("key")).toBe(undefined);
      expect(await second.get("key")).toBe(undefined);
    },
  },
  {
    title: "delete with another version, or over an absent key, removes nothing and answers false",
    async check(context) {
      const { store, expect } = context;
      expect(await store.delete("key", { ifVersion: fresh() })).toBe(false);
      const version = await put(context, "first", null);
      expect(await store.delete("key", { ifVersion: fresh() })).toBe(false);
      await expectStored(expect, store, "key", { bytes: bytesOf("first"), version });
    },
  },
  {
    title: "one key's writes do not touch another's",
    async check(context) {
      const { store, longMs, expect } = context;
      const other = fresh();
      await store.put("key:other", bytesOf("other"), { version: other, ifVersion: null, ttlMs: longMs });
      const first = await put(context, "first", null);
      await put(context, "next", first);
      expect(await store.delete("key", { ifVersion: other })).toBe(false);
      await expectStored(expect, store, "key:other", { bytes: bytesOf("other"), version: other });
    },
  },
];

function tryPut(store: BlobStore, text: string, ifVersion: Version | null): Promise<PutResult> {
  return store.put("key", bytesOf(text), { version: fresh(), ifVersion, ttlMs: 3_600_000 });
}

/** A write that must be stored. @returns its version. */
async function put(
  { store, longMs, expect }: Context,
  text: string,
  ifVersion: Version | null,
): Promise<Version> {
  const version = fresh();
  const answer = await store.put("key", bytesOf(text), { version, ifVersion, ttlMs: longMs });
  expect(answer.stored).toBe(true);
  return version;
}

/** A conflict; with what is there instead, if the store says that it brings it. */
async function expectLost(
  { expect, conflictBringsCurrent }: Context,
  answer: PutResult,
  winner: { readonly version: Version; readonly text: string },
): Promise<void> {
  expect(answer.stored).toBe(false);
  if (answer.stored) return;
  expect(answer.current !== undefined).toBe(conflictBringsCurrent);
  if (answer.current === undefined) return;
  expect(answer.current.version).toBe(winner.version);
  expectBytes(expect, answer.current.bytes, bytesOf(winner.text));
}

/** Each adds 1 to a number so many times, over and over from what is there, as tokenkeep itself merges. */
async function checkLoops(context: Context): Promise<void> {
  const { store, second, longMs, conflictBringsCurrent, expect } = context;
  const first = await put(context, "0", null);
  const add = async (client: BlobStore): Promise<void> => {
    let base = { version: first, bytes: bytesOf("0") };
    for (let done = 0; done < LOOPS;) {
      const version = fresh();
      const bytes = bytesOf(String(Number(Buffer.from(base.bytes).toString()) + 1));
      const answer = await client.put("key", bytes, { version, ifVersion: base.version, ttlMs: longMs });
      if (answer.stored) {
        base = { version, bytes };
        done += 1;
        continue;
      }
      const current = conflictBringsCurrent ? answer.current : await client.get("key");
      expect(typeof current).toBe("object");
      if (typeof current !== "object") return;
      expect(current.version === base.version).toBe(false);
      base = { version: current.version, bytes: new Uint8Array(current.bytes) };
    }
  };
  await Promise.all(
    Array.from({ length: LOOPING_WRITERS }, (_, writer) => add(writer % 2 === 0 ? store : second)),
  );
  const stored = await store.get("key");
  const total = typeof stored === "object" ? Buffer.from(stored.bytes).toString() : "nothing";
  expect(total).toBe(String(LOOPING_WRITERS * LOOPS));
}

async function checkRace(context: Context, ifVersion: Version | null): Promise<void> {
  const { store, second, longMs, expect } = context;
  const writers = Array.from({ length: RACING_WRITERS }, (_, writer) => ({
    client: writer % 2 === 0 ? store : second,
    bytes: bytesOf(`writer ${writer}`),
    version: fresh(),
  }));
  const answers = await Promise.all(
    writers.map(({ client, bytes, version }) =>
      client.put("key", bytes, { version, ifVersion, ttlMs: longMs }),
    ),
  );
  const winners = writers.filter((_, writer) => answers[writer]?.stored === true);
  expect(winners.length).toBe(1);
  for (const winner of winners) {
    await expectStored(expect, store, "key", winner);
    await expectStored(expect, second, "key", winner);
  }
}
