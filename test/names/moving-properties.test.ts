/**
 * Processes on both sides of a change write one record at once, in every order of their calls and with calls that
 * fail or whose answers are lost: no write that was acknowledged is lost, and none is built on what had gone.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { nameKeyObject } from "../../src/names/naming.ts";
import { nameStore } from "../../src/names/named-store.ts";
import { namingsOf, type NameKeys } from "../../src/names/namings.ts";
import type { Store } from "../../src/store/store.ts";
import { fakeRuntime } from "../adapters/fake-runtime.ts";
import { testKeys } from "../support/world.ts";

const [one, two] = [1, 2].map((fill) => nameKeyObject(new Uint8Array(32).fill(fill), "key"));
const FOLLOWS: NameKeys = { key: one!, next: two! };
const MOVES: NameKeys = { key: two!, previous: one! };
const KEY = "tokenkeep:user:client:issuer:somebody";

type Fault = "none" | "fails" | "answer lost";

/** The memory store, whose calls come about in the scheduler's order, some of them with a fault. */
function scheduled(inner: Store, scheduler: fc.Scheduler, faults: Iterator<Fault>): Store {
  async function through<R>(name: string, call: () => Promise<R>): Promise<R> {
    const { value: fault = "none" } = faults.next() as IteratorResult<Fault, Fault | undefined>;
    await scheduler.schedule(Promise.resolve(), `${name}, ${fault}`);
    if (fault === "fails") throw new Error("the link is down");
    const result = await call();
    await scheduler.schedule(Promise.resolve(), `${name} has answered`);
    if (fault === "answer lost") throw new Error("the answer is lost");
    return result;
  }
  return {
    ...inner,
    get: (key, options) => through("get", () => inner.get(key, options)),
    put: (key, bytes, options) => through("put", () => inner.put(key, bytes, options)),
  };
}

function fleet(inner: Store) {
  const runtime = fakeRuntime();
  const sealer = createSealer(testKeys(), runtime);
  return (names: NameKeys, store: Store = inner): Store =>
    nameStore(store, {
      namings: namingsOf("tokenkeep", names),
      sealer,
      namespace: "tokenkeep",
      runtime,
      emit: () => undefined,
    });
}

interface Write {
  readonly version: string;
  readonly over: string | null;
  readonly acknowledged: boolean;
}

const writers = fc.array(fc.record({ moves: fc.boolean(), rounds: fc.integer({ min: 1, max: 4 }) }), {
  minLength: 2,
  maxLength: 4,
});
const faults = fc.infiniteStream(
  fc.oneof(
    { weight: 12, arbitrary: fc.constant<Fault>("none") },
    { weight: 1, arbitrary: fc.constant<Fault>("fails") },
    { weight: 1, arbitrary: fc.constant<Fault>("answer lost") },
  ),
);

test.each([
  ["from a record that lies under the old name", true],
  ["from nothing", false],
])("one history of versions, whoever writes: %s", async (_from, exists) => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), writers, faults, async (scheduler, processes, trouble) => {
      const inner = memoryStore();
      const named = fleet(inner);
      const writes: Write[] = [];
      const how = { ttlMs: 3_600_000 };
      if (exists) {
        await named({ key: one! }).put(KEY, Buffer.from("0"), { version: "0", ifVersion: null, ...how });
        writes.push({ version: "0", over: null, acknowledged: true });
      }
      const link = scheduled(inner, scheduler, trouble[Symbol.iterator]());
      const work = processes.map(async ({ moves, rounds }, index) => {
        const node = named(moves ? MOVES : FOLLOWS, link);
        for (let round = 0; round < rounds; round += 1) {
          const version = `${index}-${round}`;
          try {
            const there = await node.get(KEY);
            const over = typeof there === "object" ? there.version : null;
            const attempt = { version, over };
            try {
              const { stored } = await node.put(KEY, Buffer.from(version), {
                version,
                ifVersion: over,
                ...how,
              });
              if (stored) writes.push({ ...attempt, acknowledged: true });
            } catch {
              writes.push({ ...attempt, acknowledged: false });
            }
          } catch {
            // Nothing was read, so nothing is written.
          }
        }
      });
      await scheduler.waitFor(Promise.all(work));
      // All links are well again: everybody sees the same record.
      const seen = await Promise.all([FOLLOWS, MOVES].map(async (names) => named(names).get(KEY)));
      const versions = seen.map((stored) => (typeof stored === "object" ? stored.version : null));
      expect(versions[0]).toBe(versions[1]);
      // Back from there: every acknowledged write is in that one history.
      const history = new Set<string>();
      for (let version = versions[0] ?? null; version !== null;) {
        history.add(version);
        version = writes.find((write) => write.version === version)!.over;
      }
      const lost = writes.filter(({ acknowledged, version }) => acknowledged && !history.has(version));
      expect(lost).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
