import { expect, test } from "vitest";
import { createSealer } from "../../src/envelope/sealer.ts";
import { parseHeader } from "../../src/envelope/format.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { ADA, READ, REDIRECT_URI, createWorld, testKeys, type Node, type World } from "../support/world.ts";

async function recordOf({ store }: World): Promise<Uint8Array> {
  const { keys } = await store.admin.keys({ prefix: "tokenkeep:user", limit: 10 });
  return ((await store.get(keys[0]!)) as { bytes: Uint8Array }).bytes;
}

const flagsOf = (bytes: Uint8Array): number | undefined => {
  const parsed = parseHeader(bytes);
  return parsed.ok ? parsed.header.flags : undefined;
};

test("records are smaller with compression, and processes with and without it read each other's", async () => {
  const sizes = new Map<string, number>();
  for (const compression of ["off", "deflate", "auto"] as const) {
    const world = createWorld();
    const node = world.node({ compression });
    const account = (await node.signIn(ADA)).account!;
    for (const scopes of [["api://tasks/read"], ["User.Read"]]) {
      await node.client.acquireTokenSilent({ account, scopes });
    }
    sizes.set(compression, (await recordOf(world)).length);
    for (const other of ["off", "deflate", "auto"] as const) {
      const reader: Node = world.node({ compression: other });
      const hit = await reader.client.acquireTokenSilent({ account, scopes: READ });
      expect(hit.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L2" });
    }
  }
  expect(sizes.get("deflate")).toBeLessThan(0.6 * sizes.get("off")!);
  expect(sizes.get("auto")).toBeLessThan(0.6 * sizes.get("off")!);
});

test("what a browser carries is never compressed: others can write into it, beside a secret", async () => {
  const node = createWorld().node({ compression: "auto" });
  const scopes = Array.from({ length: 8 }, (_, index) => `api://notes/${"long-scope-".repeat(20)}${index}`);
  const signIn = createSignIn({ client: node.client, redirectUri: REDIRECT_URI, scopes: READ });
  const { flow } = await signIn.beginSignIn({ scopes });
  expect(flagsOf(Buffer.from(flow, "base64url"))).toBe(0);
});

test("rekey keeps a record as compressed as it is told to", async () => {
  const world = createWorld();
  await world.node().signIn(ADA);
  expect(flagsOf(await recordOf(world))).toBe(0);
  const rotated = world.node({ keys: rotatedKeys(), compression: "deflate" });
  await rotated.cache.rekey();
  expect(flagsOf(await recordOf(world))).toBe(2);
});

function rotatedKeys() {
  const [old, fresh] = [testKeys(), testKeys("k2", 9)];
  return {
    sealingKeyId: fresh.sealingKeyId,
    keyIds: [...fresh.keyIds, ...old.keyIds],
    find: (id: string) => fresh.find(id) ?? old.find(id),
  };
}

test("a record that a newer Node has packed is retryable at an older one, and stays", async () => {
  const world = createWorld();
  const account = (await world.node({ compression: "auto" }).signIn(ADA)).account!;
  const bytes = await recordOf(world);
  const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:user", limit: 10 });
  const context = { namespace: "tokenkeep", key: keys[0]!, kind: "user" };
  expect(createSealer(testKeys(), systemRuntime, { zstd: false }).open(bytes, context)).toEqual({
    ok: false,
    reason: "unsupported",
  });
  expect((await world.node().client.acquireTokenSilent({ account, scopes: READ })).metadata.saved).toBe(true);
});
