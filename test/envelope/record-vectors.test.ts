/** What a release has sealed must open in every later one, and mean the same: each kind, as its own reader reads it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { propertiesContext } from "../../src/activity/activity.ts";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { createRecordCodec } from "../../src/partitions/codec.ts";
import { isPartitionKind } from "../../src/partitions/partition.ts";
import type { PartitionRecord } from "../../src/partitions/record.ts";
import { createSpill } from "../../src/partitions/spill.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { createFlowCodec } from "../../src/web/flow.ts";

interface Vectors {
  readonly namespace: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly records: readonly {
    readonly name: string;
    readonly key: string;
    readonly record: object;
    readonly sealed: string;
  }[];
  readonly properties: { readonly accountKey: string; readonly value: unknown; readonly sealed: string };
  readonly flow: { readonly clientId: string; readonly value: unknown; readonly text: string };
  readonly spills: readonly {
    readonly name: string;
    readonly key: string;
    readonly entry: object;
    readonly sealed: string;
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../vectors/records-v1.json", import.meta.url), "utf8"),
) as Vectors;
const { namespace } = vectors;
const [sealing] = Object.entries(vectors.keys).map(([id, key]) => ({ id, key: Buffer.from(key, "hex") }));
const sealer = createSealer(createKeyRing({ sealing: sealing! }), systemRuntime);
// No token of these has expired by then.
const runtime = { ...systemRuntime, now: () => 1_900_000_000_000 };
const codec = createRecordCodec({ sealer, namespace, runtime, emit: () => undefined });

/** As it comes out of JSON: what is `undefined` is absent. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const bytesOf = (hex: string): Buffer => Buffer.from(hex, "hex");

// What later releases have added is what its absence means.
test.each(vectors.records)("layout 1 still means: $name", async ({ key, record, sealed }) => {
  expect(plain(await codec.decode(key, bytesOf(sealed)))).toMatchObject(record);
});

test.each(vectors.records)(
  "layout 1 is still written by this release: $name",
  async ({ key, record, sealed }) => {
    const read = await codec.decode(key, bytesOf(sealed));
    const again = await codec.decode(key, codec.encode(key, read));
    expect(plain(again)).toMatchObject(record);
  },
);

test.each(vectors.records)("and opens in no other record's place: $name", async ({ key, sealed }) => {
  const places = new Set(vectors.records.map((vector) => vector.key).filter((other) => other !== key));
  expect(places.size).toBeGreaterThan(5);
  for (const other of places) expect(await codec.decode(other, bytesOf(sealed))).toEqual({ type: "refused" });
});

describe.each(vectors.records)(
  "what is not exactly that is refused, or not now: $name",
  ({ key, sealed }) => {
    const genuine = bytesOf(sealed);
    const REFUSED = { type: "refused" };
    /** What a reader makes of it: a record, or the code of its error. */
    const read = async (bytes: Uint8Array, reader = codec, at = key): Promise<unknown> => {
      try {
        return await reader.decode(at, bytes);
      } catch (error) {
        return (error as { readonly code?: unknown }).code;
      }
    };
    const codecOf = (keys: Parameters<typeof createKeyRing>[0], itsNamespace = namespace) =>
      createRecordCodec({
        sealer: createSealer(createKeyRing(keys), systemRuntime),
        namespace: itsNamespace,
        runtime,
        emit: () => undefined,
      });

    test("any bit flipped", async () => {
      const headerBits = (71 + genuine[6]!) * 8;
      for (let bit = 0; bit < genuine.length * 8; bit += bit < headerBits ? 1 : 37) {
        const changed = Buffer.from(genuine);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        // Version, suite and flags of a newer release; the id of a key that may come.
        const allowed = [REFUSED, "ERR_RECORD_UNSUPPORTED", "ERR_KEY_UNKNOWN"];
        expect(allowed, `bit ${bit}`).toContainEqual(await read(changed));
        if (bit >= (7 + genuine[6]!) * 8) expect(await read(changed), `bit ${bit}`).toEqual(REFUSED);
      }
    });

    test("cut at any length, from either end", async () => {
      for (let length = 0; length < genuine.length; length += 1) {
        expect(await read(genuine.subarray(0, length)), `first ${length}`).toEqual(REFUSED);
        expect(await read(genuine.subarray(genuine.length - length)), `last ${length}`).toEqual(REFUSED);
      }
    });

    test("another kind, another namespace, another user", async () => {
      const [, kind = "", ...rest] = key.split(":");
      const another = kind === "user" ? "session" : "user";
      expect(await read(genuine, codec, [namespace, another, ...rest].join(":"))).toEqual(REFUSED);
      expect(await read(genuine, codec, `${key}0`)).toEqual(REFUSED);
      const other = codecOf({ sealing: sealing! }, "other");
      expect(await read(genuine, other, ["other", kind, ...rest].join(":"))).toEqual(REFUSED);
    });

    test("another key: refused under the same id, not now under another", async () => {
      const wrong = Buffer.alloc(32, 1);
      expect(await read(genuine, codecOf({ sealing: { id: sealing!.id, key: wrong } }))).toEqual(REFUSED);
      expect(await read(genuine, codecOf({ sealing: { id: "other", key: sealing!.key } }))).toBe(
        "ERR_KEY_UNKNOWN",
      );
    });
  },
);

test("there is a vector of every kind of partition and of every type of record", () => {
  const kinds = new Set(vectors.records.map(({ key }) => key.split(":")[1] ?? ""));
  expect([...kinds].every(isPartitionKind)).toBe(true);
  expect(kinds).toEqual(new Set(["user", "app", "obo", "long-running", "session", "account", "flow"]));
  const types = new Set(vectors.records.map(({ record }) => (record as PartitionRecord).type));
  expect(types).toEqual(new Set(["tokens", "removed", "account", "spent"]));
});

test("a row's properties still open in their row, and in no other", () => {
  const { accountKey, value, sealed } = vectors.properties;
  const opened = sealer.open(bytesOf(sealed), propertiesContext(namespace, accountKey));
  if (!opened.ok) throw new Error(opened.reason);
  expect(JSON.parse(opened.plaintext.toString("utf8"))).toEqual(value);
  expect(sealer.open(bytesOf(sealed), propertiesContext(namespace, `${accountKey}x`)).ok).toBe(false);
  expect(sealer.open(bytesOf(sealed), propertiesContext("other", accountKey)).ok).toBe(false);
});

test("a sign-in that began under another release can still be completed, by the same application", async () => {
  const { clientId, value, text } = vectors.flow;
  expect(await createFlowCodec(sealer, namespace, clientId).open(text)).toEqual(value);
  await expect(createFlowCodec(sealer, namespace, "another").open(text)).rejects.toMatchObject({
    code: "ERR_FLOW_INVALID",
  });
});

test.each(vectors.spills)("a spilled result is still taken over: $name", ({ key, entry, sealed }) => {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-vectors-"));
  try {
    const digest = "A".repeat(43);
    // Our own pid under an earlier name: whoever had it is gone.
    writeFileSync(join(folder, `${process.pid}-earlier-${digest}.unsaved`), bytesOf(sealed), { mode: 0o600 });
    const failures: unknown[] = [];
    const onFailure = (_operation: string, error: unknown): void => void failures.push(error);
    const spill = createSpill({ folder, sealer, namespace, onFailure });
    const taken: unknown[] = [];
    spill.adopt({ has: () => false, adopt: (of, what) => void taken.push({ key: of, entry: what }) });
    expect(plain(taken)).toEqual([{ key, entry }]);
    expect(failures).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
