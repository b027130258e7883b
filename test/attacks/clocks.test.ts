import { expect, test } from "vitest";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { ADA, createWorld, READ, steeredRuntime } from "../support/world.ts";

test("a sign-out leaves the row of a sign-in that came after it, by whatever clock", async () => {
  const behind = steeredRuntime();
  behind.advance(-2_000);
  const world = createWorld();
  const link = chaosStore(world.store);
  const [a, b] = [world.node({ runtime: behind }), world.node({ store: link })];
  const { account } = await a.signIn(ADA);

  const told = link.holdAfter("publish");
  const signedOut = b.client.removeAccount(account!);
  // The tokens are gone, the row is not yet.
  await told.arrived;
  expect((await a.signIn(ADA)).metadata.saved).toBe(true);
  told.open();

  expect(await signedOut).toEqual({ status: "done", durable: true });
  expect((await collect(a.cache.accounts())).map((row) => row.username)).toEqual([ADA]);
  const served = await a.client.acquireTokenSilent({ account: account!, scopes: READ });
  expect(served.metadata.tokenSource).toBe("cache");
});
