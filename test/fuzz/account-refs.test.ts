/** An account reference as it comes out of a session or a queue: of any shape, and perhaps not ours. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { accountRef, type AccountRef } from "../../src/index.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, createWorld, READ, WEB, type Node, type World } from "../support/world.ts";
import { arbitraryMutations, mutatedJson } from "./mutations.ts";
import { expectNoSecret, guardPrototypes, settled } from "./promises.ts";

guardPrototypes();

let world: World;
let node: Node;
/** Its authority names no tenant. */
let common: Node;
let ada: AccountRef;
let ben: AccountRef;

beforeAll(async () => {
  world = createWorld();
  node = world.node();
  common = world.node({}, { auth: world.authority.msalAuth("common", WEB) });
  ada = accountRef((await node.signIn(ADA)).account!);
  ben = accountRef((await node.signIn(BEN)).account!);
});

const FIELDS = ["homeAccountId", "environment", "tenantId", "localAccountId", "username"] as const;

/** Fields of two people's references in any mixture, and values of any type. */
const mixture = (): fc.Arbitrary<unknown> => {
  const valueOf = (field: (typeof FIELDS)[number]) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom<unknown>(ada[field], ben[field], ada[field].toUpperCase()) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<unknown>(undefined, null, "", 0, true, [], {}, `${ada[field]} `),
      },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
    );
  const [home, environment, tenant, local, username] = FIELDS.map(valueOf);
  return fc.record({
    homeAccountId: home!,
    environment: environment!,
    tenantId: tenant!,
    localAccountId: local!,
    username: username!,
  });
};

const anyRef = (): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 4, arbitrary: mixture() },
    {
      weight: 3,
      arbitrary: arbitraryMutations(2).map(
        (changes) => JSON.parse(mutatedJson(JSON.stringify(ada), changes)) as unknown,
      ),
    },
    { weight: 1, arbitrary: fc.jsonValue() },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        undefined,
        null,
        [],
        {},
        "ada",
        7,
        JSON.parse('{"__proto__":{"homeAccountId":"x"}}'),
      ),
    },
  );

const homeOf = (ref: unknown): unknown => (ref as Partial<AccountRef> | null | undefined)?.homeAccountId;

describe("an account reference of any shape", () => {
  test("gets the tokens of the user it names, or a documented error", async () => {
    let served = 0;
    await fc.assert(
      fc.asyncProperty(anyRef(), fc.boolean(), fc.boolean(), async (ref, forceRefresh, anyTenant) => {
        const account = ref as AccountRef;
        const { client } = anyTenant ? common : node;
        const outcome = await settled(client.acquireTokenSilent({ account, scopes: READ, forceRefresh }));
        if ("error" in outcome) return expectNoSecret(outcome.error, world.authority.issued);
        served += 1;
        const home = homeOf(ref);
        // What is no text names nobody, and some of it cannot even be made one.
        const named = typeof home === "string" ? home.toLowerCase() : "";
        expect(outcome.result.account?.homeAccountId).toBe(named);
        const user = claimsOf(outcome.result.accessToken)["preferred_username"];
        expect(user).toBe(named === ada.homeAccountId ? ADA : BEN);
      }),
      { numRuns: 1_000 },
    );
    expect(served).toBeGreaterThan(50);
  });

  test("finds the account it names, or none", async () => {
    await fc.assert(
      fc.asyncProperty(anyRef(), async (ref) => {
        const found = await settled(node.client.getTokenCache().getAccountByHomeId(homeOf(ref) as string));
        if ("result" in found && found.result) {
          expect(found.result.homeAccountId).toBe(String(homeOf(ref)).toLowerCase());
        }
      }),
      { numRuns: 300 },
    );
  });

  test("signs out the user it names, and nobody else", async () => {
    await fc.assert(
      fc.asyncProperty(anyRef(), fc.boolean(), async (ref, everywhere) => {
        const other = createOther();
        const { homeAccountId: adas } = (await other.signIn(ADA)).account!;
        const { homeAccountId: bens } = (await other.signIn(BEN)).account!;
        const { removeAccount, signOutEverywhere } = other.client;
        await settled((everywhere ? signOutEverywhere : removeAccount)(ref as AccountRef));
        const home = homeOf(ref);
        // What is no text names nobody, and some of it cannot even be made one.
        const named = typeof home === "string" ? home.toLowerCase() : "";
        for (const known of [adas, bens]) {
          const left = await other.client.getTokenCache().getAccountByHomeId(known);
          if (named !== known) expect(left?.homeAccountId).toBe(known);
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** An application of its own, with the same people. */
function createOther(): Node {
  return world.node({ namespace: "other" });
}
