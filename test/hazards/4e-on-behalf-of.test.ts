/** 4e: acting on behalf of a user. */
import type { OnBehalfOfRequest } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/index.ts";
import {
  ADA,
  createNode,
  createWorld,
  READ,
  type Authority,
  type Node,
  type World,
} from "../support/world.ts";
import { TASKS } from "./setting.ts";
import { perRequest, vendorStore } from "./vendor.ts";

const SESSIONS = 2;

describe("two sessions of one user take turns", () => {
  test("vendor: each exchange throws the other session's token out, and every call goes to the provider", async () => {
    const { authority, requests } = await sessionsOfAda();
    const store = vendorStore();
    const client = perRequest(authority, store, authority.homeAccountId(ADA), auth(authority));
    for (const request of [...requests, ...requests, ...requests])
      await client.acquireTokenOnBehalfOf(request);
    expect(authority.count({ grant: "on_behalf_of" })).toBe(3 * SESSIONS);
  });

  test("tokenkeep: each session's token is exchanged for once", async () => {
    const { world, authority, requests } = await sessionsOfAda();
    const api = apiNode(world);
    for (const request of [...requests, ...requests, ...requests]) {
      await api.client.acquireTokenOnBehalfOf(request);
    }
    expect(authority.count({ grant: "on_behalf_of" })).toBe(SESSIONS);
  });
});

describe("a process that has just started, and a store that has the token", () => {
  test("vendor: the store is not asked", async () => {
    const { authority, requests } = await sessionsOfAda();
    const store = vendorStore();
    for (let process = 0; process < 3; process += 1) {
      const client = perRequest(authority, store, "assertion", auth(authority));
      await client.acquireTokenOnBehalfOf(requests[0]!);
    }
    expect(authority.count({ grant: "on_behalf_of" })).toBe(3);
  });

  test("tokenkeep: the store answers", async () => {
    const { world, authority, requests } = await sessionsOfAda();
    const first = await apiNode(world).client.acquireTokenOnBehalfOf(requests[0]!);
    for (let process = 0; process < 2; process += 1) {
      const found = await apiNode(world).client.acquireTokenOnBehalfOf(requests[0]!);
      expect(found?.accessToken).toBe(first?.accessToken);
      expect(found?.metadata).toMatchObject({ tokenSource: "cache", cacheLevel: "L2" });
    }
    expect(authority.count({ grant: "on_behalf_of" })).toBe(1);
  });
});

describe("a token from the cache", () => {
  test("vendor: the result no longer says whose it is", async () => {
    const { authority, requests } = await sessionsOfAda();
    const client = perRequest(authority, vendorStore(), "assertion", auth(authority));
    const fresh = await client.acquireTokenOnBehalfOf(requests[0]!);
    expect(fresh?.account?.username).toBe(ADA);
    const cached = await client.acquireTokenOnBehalfOf(requests[0]!);
    expect(cached).toMatchObject({ fromCache: true, account: null, uniqueId: "", idToken: "" });
  });

  test("tokenkeep: the result says whose it is, from memory and from the store", async () => {
    const { world, requests } = await sessionsOfAda();
    const api = apiNode(world);
    const fresh = await api.client.acquireTokenOnBehalfOf(requests[0]!);
    for (const node of [api, apiNode(world)]) {
      const cached = await node.client.acquireTokenOnBehalfOf(requests[0]!);
      expect(cached).toMatchObject({ fromCache: true, uniqueId: fresh?.uniqueId });
      expect(cached?.account?.homeAccountId).toBe(fresh?.account?.homeAccountId);
      expect(cached?.account?.username).toBe(ADA);
    }
  });
});

describe("a token of one session", () => {
  test("vendor: a silent call for the user takes what an assertion was exchanged for", async () => {
    const { authority, requests } = await sessionsOfAda();
    const store = vendorStore();
    const key = authority.homeAccountId(ADA);
    const exchange = await perRequest(authority, store, key, auth(authority)).acquireTokenOnBehalfOf(
      requests[0]!,
    );
    const silent = await perRequest(authority, store, key, auth(authority)).acquireTokenSilent({
      account: exchange!.account!,
      scopes: TASKS,
    });
    expect(silent.accessToken).toBe(exchange!.accessToken);
  });

  test("tokenkeep: a silent call finds only what the user's own sign-in brought", async () => {
    const { world, requests } = await sessionsOfAda();
    const api = apiNode(world);
    const exchange = await api.client.acquireTokenOnBehalfOf(requests[0]!);
    const silent = api.client.acquireTokenSilent({ account: exchange!.account!, scopes: TASKS });
    await expect(silent).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  });
});

/** Ada has signed in to the web app in two browsers; the web app calls the notes API with two tokens. */
async function sessionsOfAda(): Promise<{
  world: World;
  authority: Authority;
  requests: OnBehalfOfRequest[];
}> {
  const world = createWorld();
  const requests = [];
  for (let session = 0; session < SESSIONS; session += 1) {
    const { accessToken } = await createNode(world.authority, {}).signIn(ADA, READ);
    requests.push({ oboAssertion: accessToken, scopes: TASKS });
  }
  return { world, authority: world.authority, requests };
}

function auth(authority: Authority): { auth: ReturnType<Authority["msalAuth"]> } {
  return { auth: authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) };
}

/** A process of the notes API. */
function apiNode(world: World): Node {
  return world.node({}, auth(world.authority));
}
