import { describe, expect, test } from "vitest";
import { chaosStore } from "../support/chaos.ts";
import { passTime, steerDates } from "../support/dates.ts";
import { claimsOf } from "../support/network.ts";
import { MAX_LISTED } from "../../src/partitions/account-record.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { ADA, BEN, createWorld, type Node, type World } from "../support/world.ts";
import type { TokenCacheOptions } from "../../src/options.ts";

steerDates();

const SCOPES = ["api://tasks/read"];
const asked = (world: World): number => world.authority.count({ grant: "on_behalf_of" });

/** The API that exchanges its callers' tokens. */
function api(world: World, options: Partial<TokenCacheOptions<never>> = {}): Node {
  return world.node(options, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });
}

/** A user's token for the API, from a web app with a cache of its own. */
async function assertionOf(world: World, user = ADA): Promise<string> {
  const web = world.node({ namespace: "web" });
  return (await web.signIn(user)).accessToken;
}

describe("an assertion", () => {
  test("is exchanged once, however many ask at once", async () => {
    const world = createWorld();
    const node = api(world, { refreshLease: "off" });
    const oboAssertion = await assertionOf(world);
    const results = await Promise.all(
      Array.from({ length: 20 }, () => node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES })),
    );
    expect(asked(world)).toBe(1);
    expect(new Set(results.map((result) => result!.accessToken)).size).toBe(1);
    expect(results[0]!.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
  });

  test("is exchanged once by nodes that are asked at the same moment", async () => {
    const world = createWorld();
    const oboAssertion = await assertionOf(world);
    const results = await Promise.all(
      [api(world), api(world), api(world)].map((node) =>
        node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES }),
      ),
    );
    expect(new Set(results.map((result) => result?.accessToken)).size).toBe(1);
    expect(asked(world)).toBe(1);
  });

  test("is a hit in memory afterwards, without the store", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = api(world, { store: link });
    const request = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    const first = await node.client.acquireTokenOnBehalfOf(request);
    link.forgetCalls();
    const hit = await node.client.acquireTokenOnBehalfOf(request);
    expect(hit).toMatchObject({ accessToken: first!.accessToken, metadata: { cacheLevel: "L1" } });
    expect(link.calls).toEqual([]);
  });

  test("that a node has never seen is answered from a warm store without a call", async () => {
    const world = createWorld();
    const request = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    const first = await api(world).client.acquireTokenOnBehalfOf(request);
    const second = await api(world).client.acquireTokenOnBehalfOf(request);
    expect(second!.accessToken).toBe(first!.accessToken);
    expect(asked(world)).toBe(1);
  });

  test("exchanged before the clock was set back is exchanged anew, with an answer that says whose it is", async () => {
    const world = createWorld();
    const node = api(world);
    const request = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    await node.client.acquireTokenOnBehalfOf(request);
    passTime(-60_000);
    const again = await node.client.acquireTokenOnBehalfOf(request);
    expect(again).toMatchObject({ fromCache: false, account: { username: ADA } });
    expect(asked(world)).toBe(2);
  });

  test("with a field that only MSAL can judge is answered from the store too, by MSAL", async () => {
    const world = createWorld();
    const request = {
      oboAssertion: await assertionOf(world),
      scopes: SCOPES,
      claimsFromClient: JSON.stringify({ access_token: { xms_cc: { values: ["cp1"] } } }),
    };
    const first = await api(world).client.acquireTokenOnBehalfOf(request);
    const second = await api(world).client.acquireTokenOnBehalfOf(request);
    expect(second!.accessToken).toBe(first!.accessToken);
    expect(asked(world)).toBe(1);
  });

  test("exchanged with claims brings a token that every node serves from then on", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const request = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    const weak = await a.client.acquireTokenOnBehalfOf(request);
    expect((await b.client.acquireTokenOnBehalfOf(request))!.accessToken).toBe(weak!.accessToken);
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
    const strong = await a.client.acquireTokenOnBehalfOf({ ...request, claims });
    expect(strong!.accessToken).not.toBe(weak!.accessToken);
    for (const node of [a, b]) {
      expect((await node.client.acquireTokenOnBehalfOf(request))!.accessToken).toBe(strong!.accessToken);
    }
    expect(asked(world)).toBe(2);
  });

  test("finds what another node has added to its partition since", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const oboAssertion = await assertionOf(world);
    await a.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES });
    await b.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: ["User.Read"] });
    await a.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: ["User.Read"] });
    expect(asked(world)).toBe(2);
  });

  test("does not push another one of the same user out", async () => {
    const world = createWorld();
    const node = api(world);
    const assertions = [await assertionOf(world), await assertionOf(world)];
    for (let round = 0; round < 3; round += 1) {
      for (const oboAssertion of assertions) {
        await node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES });
      }
    }
    expect(asked(world)).toBe(2);
  });

  test("is answered with a token of the tenant that was asked for, where MSAL takes what it has", async () => {
    const world = createWorld();
    const node = api(world);
    const oboAssertion = await assertionOf(world);
    const tenants = world.authority.tenants.map(({ tenantId }) => tenantId);
    for (const fromCache of [false, true]) {
      for (const tenant of tenants) {
        const authority = `https://${world.authority.authorityHost}/${tenant}`;
        const result = await node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES, authority });
        expect(claimsOf(result!.accessToken)["tid"]).toBe(tenant);
        expect(result).toMatchObject({ fromCache, tenantId: tenant });
      }
    }
  });

  test("is a hit in memory also where the authority names its tenant by a domain", async () => {
    const world = createWorld();
    const node = api(world);
    const oboAssertion = await assertionOf(world);
    const authority = `https://${world.authority.authorityHost}/contoso`;
    const ask = (): ReturnType<typeof node.client.acquireTokenOnBehalfOf> =>
      node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES, authority });
    await ask();
    expect((await ask())?.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L1" });
  });

  test("is answered with its own user's token", async () => {
    const world = createWorld();
    const node = api(world);
    const [ada, ben] = [await assertionOf(world, ADA), await assertionOf(world, BEN)];
    for (const oboAssertion of [ada, ben, ada, ben]) {
      const result = await node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES });
      expect(claimsOf(result!.accessToken)["oid"]).toBe(claimsOf(oboAssertion)["oid"]);
    }
  });

  test("is exchanged while the store is down; the result is not stored, because it could not be listed", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = api(world, { store: link });
    const request = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    link.fail("all", { times: Infinity });
    const result = await node.client.acquireTokenOnBehalfOf(request);
    expect(result!.metadata).toMatchObject({ tokenSource: "identity-provider", saved: false });
    link.heal();
    await node.cache.close();
    const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:obo", limit: 10 });
    expect(keys).toEqual([]);
  });

  test("has no activity row: no worker can go on with it", async () => {
    const world = createWorld();
    const node = api(world);
    await node.client.acquireTokenOnBehalfOf({ oboAssertion: await assertionOf(world), scopes: SCOPES });
    const { value } = await node.cache.accounts().next();
    expect(value).toBeUndefined();
  });
});

describe("signing out everywhere", () => {
  test("ends what assertions were exchanged for, on every node, and refuses those issued before", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const old = await assertionOf(world);
    const request = { oboAssertion: old, scopes: SCOPES };
    const { account } = (await a.client.acquireTokenOnBehalfOf(request))!;
    await b.client.acquireTokenOnBehalfOf(request);
    passTime(2_000);
    expect(await a.client.signOutEverywhere(account!)).toEqual({ status: "done", durable: true });
    const before = asked(world);
    for (const node of [a, b, api(world)]) {
      await expect(node.client.acquireTokenOnBehalfOf(request)).rejects.toMatchObject({
        code: "ERR_SIGNED_OUT",
      });
    }
    expect(asked(world)).toBe(before);
    passTime(2_000);
    const fresh = await a.client.acquireTokenOnBehalfOf({
      oboAssertion: await assertionOf(world),
      scopes: SCOPES,
    });
    expect(fresh!.metadata.saved).toBe(true);
  });

  test("that had to wait for the store does not end what a later assertion was exchanged for", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const [a, b] = [api(world, { store: link }), api(world)];
    const old = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    const { account } = (await b.client.acquireTokenOnBehalfOf(old))!;
    link.fail("all", { times: Infinity });
    expect(await a.client.signOutEverywhere(account!)).toMatchObject({ status: "pending" });
    passTime(60_000);
    const fresh = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    await b.client.acquireTokenOnBehalfOf(fresh);
    link.heal();
    await a.cache.close();
    const node = api(world);
    const exchanged = asked(world);
    expect((await node.client.acquireTokenOnBehalfOf(fresh))?.metadata.tokenSource).toBe("cache");
    await expect(node.client.acquireTokenOnBehalfOf(old)).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
    expect(asked(world)).toBe(exchanged);
  });

  test("ends also those of a user's assertions that the account record had no room for", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const assertions: string[] = [];
    for (let at = 0; at < MAX_LISTED + 5; at += 1) assertions.push(await assertionOf(world));
    for (const oboAssertion of assertions)
      await a.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES });
    const requests = [0, MAX_LISTED, MAX_LISTED + 4].map((at) => ({
      oboAssertion: assertions[at]!,
      scopes: SCOPES,
    }));
    const results = await Promise.all(requests.map((request) => b.client.acquireTokenOnBehalfOf(request)));
    expect(results.map((result) => result?.metadata.tokenSource)).toEqual(["cache", "cache", "cache"]);
    expect(asked(world)).toBe(assertions.length);
    passTime(2_000);
    await a.client.signOutEverywhere(results[0]!.account!);
    for (const node of [a, b, api(world)]) {
      for (const request of requests) {
        const refused = node.client.acquireTokenOnBehalfOf(request);
        await expect(refused).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
      }
    }
    expect(asked(world)).toBe(assertions.length);
  });

  test("refuses an assertion issued before it that no node had seen", async () => {
    const world = createWorld();
    const node = api(world);
    const [seen, unseen] = [await assertionOf(world), await assertionOf(world)];
    const { account } = (await node.client.acquireTokenOnBehalfOf({ oboAssertion: seen, scopes: SCOPES }))!;
    passTime(2_000);
    await node.client.signOutEverywhere(account!);
    await expect(
      api(world).client.acquireTokenOnBehalfOf({ oboAssertion: unseen, scopes: SCOPES }),
    ).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
    const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:obo", limit: 10 });
    expect(keys).toHaveLength(1);
  });

  test("while an exchange is at the provider leaves nothing of it behind", async () => {
    const world = createWorld();
    const [a, b] = [api(world), api(world)];
    const [first, second] = [await assertionOf(world), await assertionOf(world)];
    const { account } = (await a.client.acquireTokenOnBehalfOf({ oboAssertion: first, scopes: SCOPES }))!;
    world.authority.pause();
    const late = b.client.acquireTokenOnBehalfOf({ oboAssertion: second, scopes: SCOPES });
    await world.authority.whenHeld(1);
    passTime(2_000);
    await a.client.signOutEverywhere(account!);
    world.authority.resume();
    await expect(late).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
  });

  test("is more than signing out: that leaves assertions alone until they expire", async () => {
    const world = createWorld();
    const node = api(world);
    const request = { oboAssertion: await assertionOf(world), scopes: SCOPES };
    const { account } = (await node.client.acquireTokenOnBehalfOf(request))!;
    await node.client.removeAccount(account!);
    expect((await node.client.acquireTokenOnBehalfOf(request))!.metadata.tokenSource).toBe("cache");
  });
});
