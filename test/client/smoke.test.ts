import { expect, test } from "vitest";
import { ADA, createWorld, READ } from "../support/world.ts";

test("a user signs in once, is served on every node, and signs out everywhere at once", async () => {
  const world = createWorld();
  const web = world.node();
  const signedIn = await web.signIn(ADA);
  const account = signedIn.account!;
  expect(signedIn.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
  const hit = await web.client.acquireTokenSilent({ account, scopes: READ });
  expect(hit.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L1" });
  expect(hit.accessToken).toBe(signedIn.accessToken);
  const other = world.node();
  const shared = await other.client.acquireTokenSilent({ account, scopes: READ });
  expect(shared.metadata.cacheLevel).toBe("L2");
  const fresh = await other.client.acquireTokenSilent({ account, scopes: READ, forceRefresh: true });
  expect(fresh.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
  expect(fresh.accessToken).not.toBe(signedIn.accessToken);
  expect(await other.client.removeAccount(account)).toEqual({ status: "done", durable: true });
  await expect(web.client.acquireTokenSilent({ account, scopes: READ })).rejects.toMatchObject({
    errorCode: "no_tokens_found",
  });
  expect(web.events.concat(other.events).map((event) => event.type)).toEqual(["signed-out"]);
});
