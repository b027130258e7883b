/** Caches that other MSAL libraries have written. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { parseBlob } from "../../src/blob/entities.ts";
import { nowSeconds } from "../../src/blob/lookup.ts";
import type { AccountRef } from "../../src/index.ts";
import { storedFor } from "../hazards/setting.ts";
import { ADA, createWorld, READ, WEB, type World } from "../support/world.ts";
import { arbitraryMutations, mutatedJson } from "./mutations.ts";
import { dotnet, java, python, type Signed } from "./other-msals.ts";
import { expectNoSecret, guardPrototypes, settled } from "./promises.ts";
import { layoutOf, place, sealed, userKey } from "./records.ts";

guardPrototypes();

let world: World;
let ada: AccountRef;
let key: string;
let signed: Signed;

beforeAll(async () => {
  // The public cloud's name: it is the one with other spellings.
  world = createWorld({ authorityHost: "login.microsoftonline.com" });
  const { account, accessToken, idToken } = await world.node().signIn(ADA);
  ada = account!;
  key = await userKey(world, ADA);
  const [refreshToken] = Object.values((await storedFor(world, ADA))!.RefreshToken);
  signed = {
    clientId: WEB,
    homeAccountId: ada.homeAccountId,
    tenantId: ada.tenantId,
    objectId: ada.localAccountId,
    username: ADA,
    accessToken,
    refreshToken: refreshToken!.secret,
    idToken,
    scopes: READ,
    now: nowSeconds(Date.now()),
  };
});

describe.each([
  ["MSAL.NET", dotnet, ["wam_account_ids", "given_name"]],
  ["MSAL Python", python, ["account_source"]],
  ["MSAL Java", java, []],
] as const)("a cache of %s", (_name, write, foreignFields) => {
  test("serves its tokens, is renewed with them, and keeps what only that library knows", async () => {
    const blob = parseBlob(JSON.stringify(write(signed)));
    await place(world.store, key, sealed(key, layoutOf(blob)));
    const { client } = world.node();
    const served = await client.acquireTokenSilent({ account: ada, scopes: READ });
    expect(served.accessToken).toBe(signed.accessToken);
    expect(served.account).toMatchObject({ homeAccountId: ada.homeAccountId, username: ADA });

    const renewed = await client.acquireTokenSilent({ account: ada, scopes: READ, forceRefresh: true });
    expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", saved: true });
    const stored = (await storedFor(world, ADA))!;
    expect(Object.keys(stored.AccessToken)).toHaveLength(1);
    expect(Object.keys(stored.RefreshToken)).toHaveLength(1);
    const [account, ...others] = Object.values(stored.Account);
    expect(others).toEqual([]);
    for (const field of foreignFields) expect(account).toHaveProperty(field);
    const sections = Object.keys(blob).filter((name) => /[a-z]-/.test(name));
    for (const section of sections) expect(stored[section]).toEqual(blob[section]);
  });

  test("with anything changed is refused or works, for its own user", async () => {
    const json = JSON.stringify(write(signed));
    await fc.assert(
      fc.asyncProperty(arbitraryMutations(2), async (mutations) => {
        const text = layoutOf(JSON.parse(mutatedJson(json, mutations)) as never);
        await place(world.store, key, sealed(key, text));
        const { client } = world.node();
        const outcome = await settled(client.acquireTokenSilent({ account: ada, scopes: READ }));
        if ("error" in outcome) expectNoSecret(outcome.error, world.authority.issued);
        else expect([ada.homeAccountId, undefined]).toContain(outcome.result.account?.homeAccountId);
      }),
      { numRuns: 200 },
    );
  });
});
