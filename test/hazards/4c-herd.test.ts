/** 4c: many callers want the same token at the same moment. */
import { describe, expect, test } from "vitest";
import { createConfidentialClient, type ConfidentialClient } from "../../src/client/confidential-client.ts";
import { createLocalAuthority, DEFAULT_CLIENT_IDS } from "../../src/testing/authority/index.ts";
import { ADA, createNode, createWorld, READ, WEB, type Authority, type World } from "../support/world.ts";
import { atOnce, outcomesOf, TASKS, withExpiringTokens } from "./setting.ts";
import { eventLoopTurns, perRequest, seed, vendorStore } from "./vendor.ts";

const CALLERS = 50;
const APP = { scopes: ["api://tasks/.default"] };
const NOTES = DEFAULT_CLIENT_IDS.notes;
/** Enough for every caller that wants to ask the provider by itself to have done so. */
const ALL_ON_THEIR_WAY = 50;

describe("a user's token has expired", () => {
  test("vendor: every caller redeems the refresh token by itself", async () => {
    const { authority, calls } = await vendorHerd("reusable");
    await authority.whenHeld(CALLERS);
    authority.resume();
    expect(await outcomesOf(calls)).toEqual({ ok: CALLERS });
    expect(authority.count({ grant: "refresh_token" })).toBe(CALLERS);
  });

  test("vendor: where a refresh token can be redeemed once, all but one are sent back to sign in", async () => {
    const { authority, calls } = await vendorHerd("one-time");
    await authority.whenHeld(CALLERS);
    authority.resume();
    expect(await outcomesOf(calls)).toEqual({ ok: 1, invalid_grant: CALLERS - 1 });
  });

  test.for(["reusable", "one-time"] as const)(
    "tokenkeep: the provider is asked once for all of them (%s refresh tokens)",
    async (refreshTokens) => {
      const world = createWorld({ refreshTokens });
      const node = world.node();
      const account = (await withExpiringTokens(world.authority, () => node.signIn(ADA))).account!;
      world.authority.pause();
      const calls = atOnce(CALLERS, () =>
        clientOf(world.authority, node.cache, WEB).acquireTokenSilent({ account, scopes: READ }),
      );
      await oneHeld(world);
      const results = await Promise.all(calls);
      expect(new Set(results.map((result) => result.accessToken)).size).toBe(1);
      expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
    },
  );
});

describe("an application token is not there yet", () => {
  test("vendor: every caller asks for it, also those of one client", async () => {
    const authority = createLocalAuthority();
    const client = perRequest(authority, vendorStore(), "app");
    authority.pause();
    const calls = atOnce(CALLERS, () => client.acquireTokenByClientCredential({ ...APP }));
    await authority.whenHeld(CALLERS);
    authority.resume();
    expect(await outcomesOf(calls)).toEqual({ ok: CALLERS });
    expect(authority.count({ grant: "client_credentials" })).toBe(CALLERS);
  });

  test("tokenkeep: the provider is asked once", async () => {
    const world = createWorld();
    const node = world.node();
    world.authority.pause();
    const calls = atOnce(CALLERS, () =>
      clientOf(world.authority, node.cache, WEB).acquireTokenByClientCredential({ ...APP }),
    );
    await oneHeld(world);
    expect(await outcomesOf(calls)).toEqual({ ok: CALLERS });
    expect(world.authority.count({ grant: "client_credentials" })).toBe(1);
  });
});

describe("an assertion has not been exchanged yet", () => {
  test("vendor: every caller exchanges it, also those of one client", async () => {
    const authority = createLocalAuthority();
    const oboAssertion = await assertionOfAda(authority);
    const client = perRequest(authority, vendorStore(), "assertion", {
      auth: authority.msalAuth("contoso", NOTES),
    });
    authority.pause();
    const calls = atOnce(CALLERS, () => client.acquireTokenOnBehalfOf({ oboAssertion, scopes: TASKS }));
    await authority.whenHeld(CALLERS);
    authority.resume();
    expect(await outcomesOf(calls)).toEqual({ ok: CALLERS });
    expect(authority.count({ grant: "on_behalf_of" })).toBe(CALLERS);
  });

  test("tokenkeep: it is exchanged once", async () => {
    const world = createWorld();
    const oboAssertion = await assertionOfAda(world.authority);
    const node = world.node();
    world.authority.pause();
    const calls = atOnce(CALLERS, () =>
      clientOf(world.authority, node.cache, NOTES).acquireTokenOnBehalfOf({ oboAssertion, scopes: TASKS }),
    );
    await oneHeld(world);
    expect(await outcomesOf(calls)).toEqual({ ok: CALLERS });
    expect(world.authority.count({ grant: "on_behalf_of" })).toBe(1);
  });
});

async function vendorHerd(
  refreshTokens: "reusable" | "one-time",
): Promise<{ authority: Authority; calls: Promise<unknown>[] }> {
  const authority = createLocalAuthority({ refreshTokens });
  const store = vendorStore();
  const account = await withExpiringTokens(authority, () => seed(authority, store, ADA));
  authority.pause();
  const calls = atOnce(CALLERS, () =>
    perRequest(authority, store, account.homeAccountId).acquireTokenSilent({ account, scopes: READ }),
  );
  return { authority, calls };
}

/** A client object of its own for each caller, all of one cache. */
function clientOf(
  authority: Authority,
  tokenCache: ReturnType<World["node"]>["cache"],
  clientId: string,
): ConfidentialClient {
  return createConfidentialClient({
    auth: authority.msalAuth("contoso", clientId),
    system: { networkClient: authority.networkClient() },
    tokenCache,
  });
}

/** Gives everybody the time to ask the provider, and then lets through who did. */
async function oneHeld({ authority }: World): Promise<void> {
  await authority.whenHeld(1);
  await eventLoopTurns(ALL_ON_THEIR_WAY);
  authority.resume();
}

async function assertionOfAda(authority: Authority): Promise<string> {
  const { accessToken } = await createNode(authority, {}).signIn(ADA, READ);
  return accessToken;
}
