/** The bytes of a scenario's store, as somebody with access to it and no key sees and changes them. */
import { randomUUID } from "node:crypto";
import { keyIdOf } from "../../src/envelope/sealer.ts";
import type { Stored } from "../../src/index.ts";
import type { StorePlace } from "./evidence.ts";
import { openStore } from "./children/store.ts";

const HOUR_MS = 3_600_000;

export interface Bytes {
  readonly key: string;
  readonly bytes: Buffer;
  readonly version: string;
}

/** Every record's bytes, by key. */
export async function readBytes(place: StorePlace): Promise<ReadonlyMap<string, Bytes>> {
  const store = openStore(place);
  try {
    const { keys } = await store.admin.keys({ prefix: "", limit: 10_000 });
    const all = new Map<string, Bytes>();
    for (const key of keys) {
      const stored = (await store.get(key)) as Stored | undefined;
      if (stored) all.set(key, { key, bytes: Buffer.from(stored.bytes), version: stored.version });
    }
    return all;
  } finally {
    await store.close();
  }
}

/** Puts bytes in place of whatever is there. */
export async function writeBytes(place: StorePlace, key: string, bytes: Uint8Array): Promise<void> {
  const store = openStore(place);
  try {
    const there = (await store.get(key)) as Stored | undefined;
    const how = { version: randomUUID(), ifVersion: there?.version ?? null, ttlMs: HOUR_MS };
    if (!(await store.put(key, bytes, how)).stored) throw new Error("somebody else wrote there");
  } finally {
    await store.close();
  }
}

/** The ids of the keys that records and rows' properties are sealed under. */
export async function keyIdsIn(place: StorePlace): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const { bytes } of (await readBytes(place)).values()) ids.add(keyIdOf(bytes) ?? "none");
  return ids;
}

/** The key of a user's own record. */
export function keyOfUser(records: Iterable<string>, homeAccountId: string): string {
  const found = [...records].filter(
    (key) => key.includes(":user:") && decodeURIComponent(key).includes(homeAccountId),
  );
  if (found.length !== 1) throw new Error(`${found.length} records of that user`);
  return found[0]!;
}
