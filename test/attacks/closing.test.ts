import { describe, expect, test } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { chaosStore } from "../support/chaos.ts";
import { settle } from "../support/settle.ts";
import { ADA, createWorld, READ, REDIRECT_URI } from "../support/world.ts";
import { codeOf } from "./support.ts";

/** A store that takes nothing any more once it has been closed, as a database does. */
function closable(store: Store): Store {
  const link = chaosStore(store);
  return { ...link, close: async () => link.fail("all", { times: Infinity }) };
}

describe("close(), while the provider is being asked,", () => {
  test("waits for a refresh, so that in one-time mode the rotated token is not lost", async () => {
    const { authority, ...world } = createWorld({ refreshTokens: "one-time" });
    const node = world.node({ store: closable(world.store), refreshTokens: "one-time" });
    const silent = { account: (await node.signIn(ADA)).account!, scopes: READ, forceRefresh: true };
    authority.pause();
    const refreshed = node.client.acquireTokenSilent(silent);
    await authority.whenHeld(1);
    const closed = node.cache.close();
    await settle();
    authority.resume();

    expect((await refreshed).metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
    expect(await closed).toEqual({ lost: 0 });
    const next = world.node({ refreshTokens: "one-time" });
    expect((await next.client.acquireTokenSilent(silent)).metadata.saved).toBe(true);
  });

  test("waits for a code that is being redeemed", async () => {
    const { authority, ...world } = createWorld();
    const node = world.node({ store: closable(world.store) });
    const request = { scopes: READ, redirectUri: REDIRECT_URI };
    const { params } = await authority.authorize(await node.client.getAuthCodeUrl(request), { user: ADA });
    authority.pause();
    const redeemed = node.client.acquireTokenByCode({ ...request, code: params["code"] ?? "" });
    await authority.whenHeld(1);
    const closed = node.cache.close();
    await settle();
    authority.resume();

    const { account, metadata } = await redeemed;
    expect(metadata.saved).toBe(true);
    expect(await closed).toEqual({ lost: 0 });
    const served = await world.node().client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(served.metadata.tokenSource).toBe("cache");
  });

  test("lets nothing new in, and says so by ERR_CLOSED at once", async () => {
    const { authority, ...world } = createWorld();
    const node = world.node();
    const silent = { account: (await node.signIn(ADA)).account!, scopes: READ };
    authority.pause();
    const refreshed = node.client.acquireTokenSilent({ ...silent, forceRefresh: true });
    await authority.whenHeld(1);
    const closed = node.cache.close();

    expect(await codeOf(node.client.acquireTokenSilent(silent))).toBe("ERR_CLOSED");
    expect(await codeOf(node.client.removeAccount(silent.account))).toBe("ERR_CLOSED");
    authority.resume();
    await refreshed;
    expect(await node.cache.close()).toEqual(await closed);
  });
});
