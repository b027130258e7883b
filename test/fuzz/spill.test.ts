/** Files that a process has left behind for results it could not store, changed by whatever happened to the disk. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, BEN, createWorld, testKeys, type Node, type World } from "../support/world.ts";
import { arbitraryMutations, mutatedJson } from "./mutations.ts";
import { expectNoSecret, guardPrototypes, settled } from "./promises.ts";

guardPrototypes();

const CONTEXT = { namespace: "tokenkeep", key: "unsaved", kind: "spill" };
const sealer = createSealer(testKeys(), systemRuntime);

let world: World;
let folder: ReturnType<typeof temporaryFolder>;
/** What two sign-ins have left behind, by name, under the id of a process that is gone. */
let left: { readonly name: string; readonly user: string; readonly bytes: Buffer }[];

beforeAll(async () => {
  world = createWorld();
  folder = temporaryFolder();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  left = [];
  for (const user of [ADA, BEN]) {
    const link = chaosStore(world.store);
    link.fail("put", { times: Infinity });
    const own = temporaryFolder();
    const node = world.node({ store: link, spillFolder: own.path });
    await node.signIn(user);
    const [name = ""] = readdirSync(own.path);
    const bytes = readFileSync(join(own.path, name));
    left.push({ name: name.replace(String(process.pid), String(pid)), user, bytes });
    node.cache.parts.partitions.close();
    own.remove();
  }
});
afterAll(() => folder.remove());

/** A process that starts where Ada's file holds something else, and Ben's is as it was. */
async function start(bytes: Buffer): Promise<Node> {
  for (const name of readdirSync(folder.path)) rmSync(join(folder.path, name));
  for (const { name, user, bytes: genuine } of left) {
    writeFileSync(join(folder.path, name), user === ADA ? bytes : genuine);
  }
  const fresh = createWorld().store;
  const node = world.node({ store: fresh, spillFolder: folder.path });
  await settled(node.cache.parts.partitions.drain());
  return node;
}

async function hasTokens(node: Node, user: string): Promise<boolean> {
  const homeAccountId = world.authority.homeAccountId(user);
  return (await node.client.getTokenCache().getAccountByHomeId(homeAccountId)) !== null;
}

/** Nothing of it is taken in, and it takes nothing else with it. */
async function expectNotAdopted(bytes: Buffer): Promise<void> {
  const node = await start(bytes);
  expectNoSecret(node.events, world.authority.issued);
  expect(await hasTokens(node, ADA)).toBe(false);
  expect(await hasTokens(node, BEN)).toBe(true);
  await node.cache.close();
}

describe("a file with results that could not be stored", () => {
  test("that is genuine is taken in", async () => {
    const node = await start(left[0]!.bytes);
    expect([await hasTokens(node, ADA), await hasTokens(node, BEN)]).toEqual([true, true]);
    expect(readdirSync(folder.path)).toEqual([]);
    await node.cache.close();
  });

  test("with any byte of its header changed, or one of every 61 after it, is not, and harms no other", async () => {
    const genuine = left[0]!.bytes;
    for (let index = 0; index < genuine.length; index += index < 80 ? 1 : 61) {
      const bytes = Buffer.from(genuine);
      bytes[index]! ^= 1 << (index % 8);
      await expectNotAdopted(bytes);
      // It is kept: with the right keys somebody may still open it.
      expect(readdirSync(folder.path)).toHaveLength(1);
    }
  });

  test("cut at any length, or of any bytes, is not", async () => {
    const genuine = left[0]!.bytes;
    for (let length = 0; length < genuine.length; length += 53)
      await expectNotAdopted(genuine.subarray(0, length));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) =>
        expectNotAdopted(Buffer.from(bytes)),
      ),
      { numRuns: 50 },
    );
  });

  test("that is sealed with the right key and holds anything at all lets the process start", async () => {
    const opened = sealer.open(left[0]!.bytes, CONTEXT);
    if (!opened.ok) throw new Error(opened.reason);
    const genuine = opened.plaintext.toString("utf8");
    const text = fc.oneof(
      { weight: 4, arbitrary: arbitraryMutations(2).map((mutations) => mutatedJson(genuine, mutations)) },
      { weight: 1, arbitrary: fc.json() },
      { weight: 1, arbitrary: fc.string() },
    );
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        const node = await start(Buffer.from(sealer.seal(Buffer.from(content), CONTEXT)));
        expect(await hasTokens(node, BEN)).toBe(true);
        await settled(node.client.getTokenCache().getAccountByHomeId(world.authority.homeAccountId(ADA)));
        expectNoSecret(node.events, world.authority.issued);
        await settled(node.cache.close());
      }),
      { numRuns: 200 },
    );
  });
});
