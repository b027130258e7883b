import { expect, test } from "vitest";
import { appPartition } from "../../src/client/partitions.ts";
import type { Partition } from "../../src/partitions/partition.ts";
import { guidFrom } from "../../src/testing/authority/options.ts";
import { createWorld, WEB } from "../support/world.ts";

const TENANTS = Array.from({ length: 500 }, (_, at) => [`tenant-${at}`, guidFrom(`tenant-${at}`)] as const);
const L1_BYTES = 150_000;

test("R14: a daemon of 500 tenants asks once for each, in bounded memory; what the store lost costs one call more", async () => {
  const world = createWorld({ tenants: Object.fromEntries(TENANTS), users: [] });
  const { authority, store } = world;
  const auth = authority.msalAuth("tenant-0", WEB);
  const node = world.node({ l1: { maxBytes: L1_BYTES } }, { auth });
  const tokenOf = async (tenantId: string): Promise<string> => {
    const request = {
      authority: `https://${authority.authorityHost}/${tenantId}`,
      scopes: ["api://notes/.default"],
    };
    return (await node.client.acquireTokenByClientCredential(request))?.accessToken ?? "";
  };
  const rounds: string[][] = [];
  for (let round = 0; round < 2; round += 1) {
    const tokens: string[] = [];
    for (const [, tenantId] of TENANTS) tokens.push(await tokenOf(tenantId));
    rounds.push(tokens);
  }
  expect(rounds[1]).toEqual(rounds[0]);
  expect(new Set(rounds[0]).size).toBe(TENANTS.length);
  expect(authority.count({ grant: "client_credentials" })).toBe(500);
  // They do not all fit into memory: what answers is the store.
  const held = TENANTS.filter(
    ([, tenantId]) => node.cache.parts.partitions.peek(appOf(tenantId)) !== undefined,
  );
  expect(held.length).toBeGreaterThan(0);
  expect(held.length).toBeLessThan(TENANTS.length / 2);

  const evicted = TENANTS[250]![1];
  const key = node.cache.parts.partitions.key(appOf(evicted));
  const stored = await store.get(key);
  await store.delete(key, { ifVersion: (stored as { version: string }).version });
  node.client.clearCache();
  for (const [, tenantId] of TENANTS) await tokenOf(tenantId);
  expect(authority.count({ grant: "client_credentials" })).toBe(501);

  function appOf(tenantId: string): Partition {
    return appPartition({ clientId: WEB, authority: `https://${authority.authorityHost}/${tenantId}` });
  }
});

test("R14: a tenant whose provider fails does not keep the others from theirs", async () => {
  const world = createWorld({ tenants: Object.fromEntries(TENANTS.slice(0, 5)), users: [] });
  const { authority } = world;
  const node = world.node({}, { auth: authority.msalAuth("tenant-0", WEB) });
  const unknown = guidFrom("a tenant that has left");
  const outcomes = await Promise.allSettled(
    [...TENANTS.slice(0, 5).map(([, id]) => id), unknown].map((tenantId) =>
      node.client.acquireTokenByClientCredential({
        authority: `https://${authority.authorityHost}/${tenantId}`,
        scopes: ["api://notes/.default"],
      }),
    ),
  );
  expect(outcomes.map(({ status }) => status)).toEqual([...Array<string>(5).fill("fulfilled"), "rejected"]);
});
