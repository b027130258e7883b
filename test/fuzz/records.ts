/** Puts records of a test's own making into a store, past everything that writes records. */
import { randomUUID } from "node:crypto";
import type { CacheBlob } from "../../src/blob/entities.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import type { Store } from "../../src/store/store.ts";
import { testKeys, type World } from "../support/world.ts";

const NAMESPACE = "tokenkeep";
const HOUR_MS = 3_600_000;

const sealer = createSealer(testKeys(), systemRuntime);

function contextOf(key: string): { namespace: string; key: string; kind: string } {
  return { namespace: NAMESPACE, key, kind: key.split(":")[1] ?? "" };
}

/** Authentic, whatever the text is. */
export function sealed(key: string, text: string): Buffer {
  return Buffer.from(sealer.seal(Buffer.from(text), contextOf(key)));
}

/** The text inside an authentic record. */
export function opened(key: string, bytes: Uint8Array): string {
  const result = sealer.open(bytes, contextOf(key));
  if (!result.ok) throw new Error(result.reason);
  return result.plaintext.toString("utf8");
}

/** A record that holds these tokens, in the layout of this release. */
export function layoutOf(blob: CacheBlob): string {
  return JSON.stringify({ f: 1, t: "tokens", i: "life", s: 1, p: {}, b: blob });
}

/** The key of the only record of a kind whose key mentions `text`. */
export async function keyOf(world: World, kind: string, text = ""): Promise<string> {
  const { keys } = await world.store.admin.keys({ prefix: `${NAMESPACE}:${kind}:`, limit: 100 });
  const found = keys.filter((key) => decodeURIComponent(key).includes(text));
  if (found.length !== 1) throw new Error(`${found.length} records of kind ${kind}`);
  return found[0]!;
}

/** The key of a user's own record. */
export function userKey(world: World, user: string): Promise<string> {
  return keyOf(world, "user", world.authority.homeAccountId(user));
}

/** Puts bytes in place of whatever is there, as a stray program would. */
export async function place(store: Store, key: string, bytes: Uint8Array): Promise<void> {
  const present = await store.get(key);
  const ifVersion = typeof present === "object" ? present.version : null;
  await store.put(key, bytes, { version: randomUUID(), ifVersion, ttlMs: HOUR_MS });
}

export async function bytesAt(store: Store, key: string): Promise<Buffer> {
  const stored = await store.get(key);
  if (typeof stored !== "object") throw new Error("no record");
  return Buffer.from(stored.bytes);
}
