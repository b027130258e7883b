/** Whatever calls itself a cache blob. */
import { ConfidentialClientApplication } from "@azure/msal-node";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { canonicalizeBlob, environmentAliases } from "../../src/blob/environments.ts";
import { parseBlob, serializeBlob, type CacheBlob } from "../../src/blob/entities.ts";
import {
  accountsOf,
  findAccessToken,
  findAccount,
  findIdToken,
  findRefreshToken,
  nowSeconds,
} from "../../src/blob/lookup.ts";
import { mergeBlobs } from "../../src/blob/merge.ts";
import { provenanceAfterSignIn } from "../../src/blob/provenance.ts";
import { lastExpiry, pruneBlob } from "../../src/blob/prune.ts";
import { storedFor } from "../hazards/setting.ts";
import { ADA, BEN, createWorld, READ, WEB, type World } from "../support/world.ts";
import { arbitraryMutations, mutatedJson } from "./mutations.ts";
import { expectDocumented, expectNoSecret, guardPrototypes, settled } from "./promises.ts";

guardPrototypes();

let world: World;
/** As MSAL has written it, for two users of two resources. */
let adas: string;
let bens: CacheBlob;

beforeAll(async () => {
  world = createWorld();
  const node = world.node();
  for (const user of [ADA, BEN]) {
    const { account } = await node.signIn(user, READ);
    await node.client.acquireTokenSilent({ account: account!, scopes: ["api://tasks/read"] });
  }
  adas = serializeBlob((await storedFor(world, ADA))!);
  bens = (await storedFor(world, BEN))!;
});

const query = () => ({
  homeAccountId: world.authority.homeAccountId(ADA),
  environments: environmentAliases(world.authority.authorityHost),
  clientId: WEB,
  realm: "",
});

/** The blob, or undefined for what is refused in the documented way and without repeating it. */
function parsed(text: string): CacheBlob | undefined {
  try {
    return parseBlob(text);
  } catch (error) {
    expectDocumented(error);
    expect(error).toMatchObject({ code: "ERR_BLOB_INVALID" });
    expectNoSecret(error, world.authority.issued);
    return undefined;
  }
}

/** Everything that is done with a blob. */
function work(blob: CacheBlob): void {
  const now = nowSeconds(Date.now());
  const canonical = canonicalizeBlob(blob, now);
  const known = provenanceAfterSignIn({ base: bens, mine: canonical, known: {} });
  for (const [mine, theirs] of [
    [canonical, bens],
    [bens, canonical],
  ] as const) {
    const merged = mergeBlobs({ base: theirs, mine, theirs, provenance: { mine: known, theirs: known } });
    pruneBlob(merged.blob, now);
  }
  lastExpiry(canonical);
  accountsOf(canonical);
  const asked = query();
  findAccount(canonical, asked.homeAccountId, world.authority.authorityHost);
  findIdToken(canonical, asked);
  const tokens = [
    findRefreshToken(canonical, asked)?.token,
    accessTokenIn(canonical)?.token,
    findIdToken(canonical, asked),
  ];
  for (const token of tokens) if (token) expect(token.home_account_id).toBe(asked.homeAccountId);
  expect(parseBlob(serializeBlob(canonical))).toEqual(canonical);
}

function accessTokenIn(blob: CacheBlob) {
  const times = { nowSeconds: nowSeconds(Date.now()), renewalOffsetSeconds: 300 };
  const found = findAccessToken(blob, { ...query(), scopes: READ, ...times });
  return found.found ? found : undefined;
}

/** The real MSAL, with nobody to ask. */
function offline(json: string): ConfidentialClientApplication {
  const refuse = (): Promise<never> => Promise.reject(new Error("offline"));
  const client = new ConfidentialClientApplication({
    auth: world.authority.msalAuth("contoso", WEB),
    system: { networkClient: { sendGetRequestAsync: refuse, sendPostRequestAsync: refuse } },
  });
  client.getTokenCache().deserialize(json);
  return client;
}

describe("a blob", () => {
  test("of any text is refused or works", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(text, (input) => {
        const blob = parsed(input);
        if (blob) work(blob);
      }),
      { numRuns: 2_000 },
    );
  });

  test("of any JSON in its sections is refused or works", () => {
    const section = fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })));
    const root = fc.record(
      {
        Account: section,
        IdToken: section,
        AccessToken: section,
        RefreshToken: section,
        AppMetadata: section,
        Foreign: section,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(root, (input) => {
        const blob = parsed(JSON.stringify(input));
        if (blob) work(blob);
      }),
      { numRuns: 2_000 },
    );
  });

  test("of MSAL's that was cut short is refused at every length", () => {
    for (let length = 0; length < adas.length; length += 1) {
      expect(parsed(adas.slice(0, length)), `first ${length}`).toBeUndefined();
    }
  });

  test("of MSAL's with anything changed is refused or works, and finds nobody else's tokens", () => {
    let worked = 0;
    fc.assert(
      fc.property(arbitraryMutations(), (mutations) => {
        const blob = parsed(mutatedJson(adas, mutations));
        if (!blob) return;
        worked += 1;
        work(blob);
      }),
      { numRuns: 2_000 },
    );
    // Not everything is refused.
    expect(worked).toBeGreaterThan(100);
  });

  test("that is accepted MSAL can load, search and save", async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryMutations(), fc.boolean(), async (mutations, isRaw) => {
        const blob = parsed(mutatedJson(adas, mutations));
        if (!blob) return;
        const client = offline(serializeBlob(isRaw ? blob : canonicalizeBlob(blob, nowSeconds(Date.now()))));
        parseBlob(client.getTokenCache().serialize());
        const listed = await settled(client.getTokenCache().getAllAccounts());
        const accounts = "result" in listed ? listed.result : [];
        const homeAccountId = world.authority.homeAccountId(ADA);
        const [, tenantId = ""] = homeAccountId.split(".");
        const environment = world.authority.authorityHost;
        const account = { homeAccountId, environment, tenantId, localAccountId: "", username: "" };
        for (const known of [account, ...accounts]) {
          const call = client.acquireTokenSilent({ account: known, scopes: READ });
          await call.catch((error: unknown) => {
            if ((error as Error).message !== "offline") expectDocumented(error);
          });
        }
      }),
      { numRuns: 800 },
    );
  });

  test("with another user's entries among its own finds only its own", () => {
    const own = parseBlob(adas);
    const sections = ["Account", "IdToken", "AccessToken", "RefreshToken"] as const;
    const grafts = fc.array(
      fc.record({
        section: fc.constantFrom(...sections),
        from: fc.nat(9),
        to: fc.nat(9),
        first: fc.boolean(),
      }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(grafts, (chosen) => {
        let blob: CacheBlob = own;
        for (const { section, from, to, first } of chosen) {
          const foreign = Object.entries(bens[section]);
          const [foreignKey, entity] = foreign[from % foreign.length]!;
          // Under its own key, or in the place of one of ours.
          const ours = Object.keys(own[section]);
          const key = ours[to] ?? foreignKey;
          const rest = blob[section];
          blob = { ...blob, [section]: first ? { [key]: entity, ...rest } : { ...rest, [key]: entity } };
        }
        work(blob);
      }),
      { numRuns: 1_000 },
    );
  });
});
