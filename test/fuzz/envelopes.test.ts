/** Bytes that are not what was sealed: through the sealer, and through everything that reads a record. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createSealer, type SealContext } from "../../src/envelope/sealer.ts";
import type { AccountRef } from "../../src/index.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { userPartition } from "../../src/client/partitions.ts";
import { ADA, BEN, createWorld, READ, testKeys, type Node, type World } from "../support/world.ts";
import { guardPrototypes, isNotNow, settled } from "./promises.ts";
import { bytesAt, opened, place, userKey } from "./records.ts";

guardPrototypes();

let world: World;
let ada: AccountRef;
let key: string;
/** As it was sealed. */
let genuine: Buffer;
/** What a header ends with, and the ciphertext begins. */
let headerBytes: number;

beforeAll(async () => {
  world = createWorld();
  ada = (await world.node().signIn(ADA)).account!;
  await world.node().signIn(BEN);
  key = await userKey(world, ADA);
  genuine = await bytesAt(world.store, key);
  headerBytes = 71 + genuine[6]!;
});

/** Somebody has changed the record; a process that knows nothing of it is asked for the user's token. */
async function ask(bytes: Buffer, node: Node = world.node()) {
  await place(world.store, key, bytes);
  const outcome = await settled(node.client.acquireTokenSilent({ account: ada, scopes: READ }));
  // Whatever it is, nobody touches it.
  expect(await bytesAt(world.store, key)).toEqual(bytes);
  return outcome;
}

/** A miss or "not now", the difference being whether somebody else might still open it. */
async function expectNotAccepted(bytes: Buffer, node?: Node): Promise<void> {
  const outcome = await ask(bytes, node);
  if (!("error" in outcome)) throw new Error("accepted");
  if (isNotNow(outcome.error)) {
    expect(["ERR_KEY_UNKNOWN", "ERR_RECORD_UNSUPPORTED"]).toContain(
      (outcome.error as { code?: unknown }).code,
    );
  } else expect(outcome.error).toMatchObject({ errorCode: "no_tokens_found" });
}

function flipped(bit: number): Buffer {
  const bytes = Buffer.from(genuine);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  return bytes;
}

describe("an envelope", () => {
  test("that is genuine is served: what follows is refused for a reason", async () => {
    expect(await ask(genuine)).toMatchObject({ result: { metadata: { cacheLevel: "L2" } } });
  });

  test("with any one bit of it flipped does not open", () => {
    const sealer = createSealer(testKeys(), systemRuntime);
    const context: SealContext = { namespace: "tokenkeep", key, kind: "user" };
    expect(sealer.open(genuine, context).ok).toBe(true);
    for (let bit = 0; bit < genuine.length * 8; bit += 1) {
      if (sealer.open(flipped(bit), context).ok) throw new Error(`bit ${bit}`);
    }
  });

  test("with any one bit of its header flipped, or one of every 37 after it, is no token", async () => {
    const node = world.node({ l1: false });
    for (let bit = 0; bit < genuine.length * 8; bit += bit < headerBytes * 8 ? 1 : 37 * 8 + 1) {
      await expectNotAccepted(flipped(bit), node);
    }
  });

  test("with any one bit flipped is a miss, or not now, for whoever reads the partition", async () => {
    const owner = world.authority.msalAuth("contoso", world.node().client.clientId);
    const partition = userPartition(owner, ada.homeAccountId);
    let bytes = genuine;
    const get = async () => ({ bytes, version: `${Math.random()}` });
    const { partitions } = world.node({ l1: false, store: { ...world.store, get } }).cache.parts;
    expect(await partitions.read(partition)).toMatchObject({ status: "present" });
    for (let bit = 0; bit < genuine.length * 8; bit += 1) {
      bytes = flipped(bit);
      const read = await settled(partitions.read(partition, { fresh: true }));
      if ("result" in read ? read.result.status !== "refused" : !isNotNow(read.error)) {
        throw new Error(`bit ${bit}`);
      }
    }
  });

  test("cut short at any length, from either end, is no token", async () => {
    const node = world.node({ l1: false });
    for (let length = 0; length < genuine.length; length += length < headerBytes + 20 ? 1 : 61) {
      await expectNotAccepted(genuine.subarray(0, length), node);
      await expectNotAccepted(genuine.subarray(genuine.length - length), node);
    }
  });

  test("of any bytes is no token", async () => {
    const start = fc.constantFrom("", "TKE", "TKE\u0001\u0001\u0000\u0002k1", "TKP\u0001", "TKP\u0002");
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 400 }), async (prefix, rest) => {
        await expectNotAccepted(Buffer.concat([Buffer.from(prefix, "latin1"), rest]));
      }),
      { numRuns: 300 },
    );
  });

  test("with parts of another genuine one is no token", async () => {
    const other = await bytesAt(world.store, await userKey(world, BEN));
    const cut = fc.nat(Math.min(other.length, genuine.length) - 1);
    await fc.assert(
      fc.asyncProperty(cut, cut, fc.boolean(), async (from, to, swap) => {
        const [head, tail] = swap ? [genuine, other] : [other, genuine];
        const spliced = Buffer.concat([head.subarray(0, from), tail.subarray(to)]);
        if (!spliced.equals(genuine)) await expectNotAccepted(spliced);
      }),
      { numRuns: 300 },
    );
    const node = world.node();
    await expectNotAccepted(other, node);
    expect(node.events).toMatchObject([{ type: "record-unreadable", reason: "refused" }]);
  });
});

describe("plaintext in the place of an envelope", () => {
  test.each<[string, (text: string) => string]>([
    ["the record as it is", (text) => text],
    ["the record, marked as unsealed", (text) => `TKP\u0001${text}`],
    ["MSAL's own cache", (text) => JSON.stringify((JSON.parse(text) as { b: unknown }).b)],
    [
      "MSAL's own cache, marked as unsealed",
      (text) => `TKP\u0001${JSON.stringify((JSON.parse(text) as { b: unknown }).b)}`,
    ],
  ])("%s: is no token, and a sealed one takes its place at the next sign-in", async (_name, write) => {
    const plain = Buffer.from(write(opened(key, genuine)), "latin1");
    await expectNotAccepted(plain);
    const { accessToken, metadata } = await world.node().signIn(ADA);
    expect(metadata.saved).toBe(true);
    const bytes = await bytesAt(world.store, key);
    for (const secret of world.authority.issued) expect(bytes.includes(secret)).toBe(false);
    const next = await world.node().client.acquireTokenSilent({ account: ada, scopes: READ });
    expect(next.accessToken).toBe(accessToken);
  });
});
