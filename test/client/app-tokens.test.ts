import { describe, expect, test } from "vitest";
import { chaosStore } from "../support/chaos.ts";
import { HOUR_MS, passTime, steerDates } from "../support/dates.ts";
import { claimsOf } from "../support/network.ts";
import { createWorld, type World } from "../support/world.ts";

steerDates();

const SCOPES = ["api://notes/.default"];
const asked = (world: World): number => world.authority.count({ grant: "client_credentials" });

describe("the application's own token", () => {
  test("is asked for once, however many ask at once, and each has its own correlation id", async () => {
    const world = createWorld();
    const node = world.node({ refreshLease: "off" });
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        node.client.acquireTokenByClientCredential({
          scopes: SCOPES,
          correlationId: `00000000-0000-4000-8000-0000000000${10 + i}`,
        }),
      ),
    );
    expect(asked(world)).toBe(1);
    expect(new Set(results.map((result) => result!.accessToken)).size).toBe(1);
    expect(new Set(results.map((result) => result!.correlationId)).size).toBe(20);
    expect(results[0]!.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
  });

  test("is a hit in memory afterwards, without the store", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    link.forgetCalls();
    const hit = await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    expect(hit!.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L1" });
    expect(hit!.account).toBeNull();
    expect(link.calls).toEqual([]);
  });

  test("is shared by all nodes", async () => {
    const world = createWorld();
    const first = await world.node().client.acquireTokenByClientCredential({ scopes: SCOPES });
    const second = await world.node().client.acquireTokenByClientCredential({ scopes: SCOPES });
    expect(second!.accessToken).toBe(first!.accessToken);
    expect(asked(world)).toBe(1);
  });

  test("is another one in another tenant", async () => {
    const world = createWorld();
    const node = world.node();
    const authority = `https://${world.authority.authorityHost}/${world.authority.tenants[1]!.tenantId}`;
    const [home, other] = await Promise.all([
      node.client.acquireTokenByClientCredential({ scopes: SCOPES }),
      node.client.acquireTokenByClientCredential({ scopes: SCOPES, authority }),
    ]);
    expect(claimsOf(home!.accessToken)["tid"]).not.toBe(claimsOf(other!.accessToken)["tid"]);
    const again = await node.client.acquireTokenByClientCredential({ scopes: SCOPES, authority });
    expect(again!.accessToken).toBe(other!.accessToken);
  });

  test("is renewed when it has expired, and when the cache is to be skipped", async () => {
    const world = createWorld();
    const node = world.node();
    await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    passTime(HOUR_MS);
    await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    expect(asked(world)).toBe(2);
    await node.client.acquireTokenByClientCredential({ scopes: SCOPES, skipCache: true });
    expect(asked(world)).toBe(3);
  });

  test("that was demanded with claims displaces the weaker one on every node, at once; no claims demand nothing", async () => {
    const world = createWorld();
    const [a, b] = [world.node(), world.node()];
    const weak = await a.client.acquireTokenByClientCredential({ scopes: SCOPES });
    const hit = await b.client.acquireTokenByClientCredential({ scopes: SCOPES, claims: "{}" });
    expect(hit).toMatchObject({ accessToken: weak!.accessToken });
    const again = await b.client.acquireTokenByClientCredential({ scopes: SCOPES, claims: "{}" });
    expect(again!.metadata).toMatchObject({ cacheLevel: "L1" });
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
    const strong = await a.client.acquireTokenByClientCredential({ scopes: SCOPES, claims });
    expect(strong!.metadata).toMatchObject({ cacheRefreshReason: "force-refresh-or-claims" });
    for (const { client } of [a, b]) {
      const seen = await client.acquireTokenByClientCredential({ scopes: SCOPES });
      expect(seen!.accessToken).toBe(strong!.accessToken);
    }
    expect(asked(world)).toBe(2);
  });

  test("comes from the provider while the store is down", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link });
    link.fail("all", { times: Infinity });
    const result = await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    expect(result!.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
    const hit = await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    expect(hit!.accessToken).toBe(result!.accessToken);
    expect(asked(world)).toBe(1);
  });

  test("is never filed with a user", async () => {
    const world = createWorld();
    const node = world.node();
    await node.signIn("ada@contoso.example");
    await node.client.acquireTokenByClientCredential({ scopes: SCOPES });
    const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:", limit: 100 });
    expect(new Set(keys.map((key) => key.split(":")[1]))).toEqual(new Set(["app", "user"]));
  });

  test("without scopes is MSAL's error", async () => {
    const node = createWorld().node();
    await expect(node.client.acquireTokenByClientCredential({ scopes: [] })).rejects.toMatchObject({
      name: expect.stringMatching(/Error/) as string,
    });
  });
});
