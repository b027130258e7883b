import { expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { HOUR_MS, passTime, steerDates } from "../support/dates.ts";
import { ADA, createWorld, type Node, type World } from "../support/world.ts";

steerDates();

const SCOPES = ["api://tasks/read"];
const asked = (world: World): number => world.authority.count({ grant: "on_behalf_of" });

const api = (world: World): Node =>
  world.node({}, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });

const assertionOf = async (world: World): Promise<string> =>
  (await world.node({ namespace: "web" }).signIn(ADA)).accessToken;

async function kept(world: World): Promise<readonly string[]> {
  return (await world.store.admin.keys({ prefix: "tokenkeep:obo", limit: 10 })).keys;
}

test("R11: one assertion costs one exchange in fresh processes; two of one user take turns; signing out ends both", async () => {
  const world = createWorld();
  const assertions = [await assertionOf(world), await assertionOf(world)];
  for (let round = 0; round < 3; round += 1) {
    for (const oboAssertion of assertions)
      await api(world).client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES });
  }
  expect(asked(world)).toBe(2);
  const node = api(world);
  const requests = assertions.map((oboAssertion) => ({ oboAssertion, scopes: SCOPES }));
  const { account } = (await node.client.acquireTokenOnBehalfOf(requests[0]!))!;
  passTime(2_000);
  await node.client.signOutEverywhere(account!);
  for (const request of requests) {
    const refused = api(world).client.acquireTokenOnBehalfOf(request);
    await expect(refused).rejects.toMatchObject({ code: "ERR_SIGNED_OUT" });
  }
  expect(asked(world)).toBe(2);
});

test("R11: what an assertion was exchanged for is kept for as long as its token is valid", async () => {
  const world = createWorld();
  world.authority.setLifetimes({ accessTokenSeconds: 1_800 });
  const oboAssertion = await assertionOf(world);
  await api(world).client.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES });
  const [key] = await kept(world);
  const stored = await world.store.get(key!);
  const leftMs = (stored as { expiresAtMs?: number }).expiresAtMs! - Date.now();
  expect(leftMs).toBeLessThanOrEqual(1_800_000);
  expect(leftMs).toBeGreaterThan(1_790_000);
});

test("R11: consent that is missing, and an assertion that has expired, are the caller's to settle; nothing is kept", async () => {
  const world = createWorld();
  const oboAssertion = await assertionOf(world);
  const request = { oboAssertion, scopes: SCOPES };
  world.authority.requireConsent(ADA, SCOPES[0]!);
  await expect(api(world).client.acquireTokenOnBehalfOf(request)).rejects.toMatchObject({
    code: "ERR_CONSENT_REQUIRED",
    scopes: SCOPES,
    retryable: false,
  });
  passTime(2 * HOUR_MS);
  await expect(api(world).client.acquireTokenOnBehalfOf(request)).rejects.toMatchObject({
    code: "ERR_INTERACTION_REQUIRED",
    retryable: false,
  });
  expect(await kept(world)).toEqual([]);
});
