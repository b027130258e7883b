import { describe, expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import {
  createConfidentialClient,
  type ConfidentialClientOptions,
} from "../../src/client/confidential-client.ts";
import type { AccountRef } from "../../src/activity/account-ref.ts";
import type { TokenCacheOptions } from "../../src/options.ts";
import { collect } from "../support/collect.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { HOUR_MS, passTime, steerDates } from "../support/dates.ts";
import { ADA, BEN, READ, WEB, createWorld, type Node, type World } from "../support/world.ts";

steerDates();

const TASKS = ["api://tasks/read"];
const APP = { scopes: ["api://notes/.default"] };
const CLAIMS = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
const MINUTE_MS = 60_000;

const refreshes = (world: World): number => world.authority.count({ grant: "refresh_token" });
const codesOf = async (calls: readonly Promise<unknown>[]): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { status, ...settled } of await Promise.allSettled(calls)) {
    const { code = "?" } =
      status === "fulfilled" ? { code: "ok" } : (settled as { reason: { code?: string } }).reason;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
};
const fifty = (ask: (index: number) => Promise<unknown>): Promise<unknown>[] =>
  Array.from({ length: 50 }, (_, index) => ask(index));

/** A node whose users' tokens have really expired. */
async function withExpired(
  users: readonly string[] = [ADA],
  options: Partial<TokenCacheOptions<never>> = {},
) {
  const world = createWorld();
  const node = world.node({ runtime: dateRuntime(), ...options });
  const accounts: AccountRef[] = [];
  for (const user of users) accounts.push((await node.signIn(user)).account!);
  passTime(HOUR_MS + 1_000);
  const silent = (index = 0, scopes = READ) =>
    node.client.acquireTokenSilent({ account: accounts[index]!, scopes });
  return { world, node, account: accounts[0]!, silent };
}

describe("a refused refresh token", () => {
  test("costs 50 callers one call, and those who come later none, also where it could serve others", async () => {
    const { world, node, silent } = await withExpired();
    world.authority.requireConsent(ADA, READ[0]!);
    expect(await codesOf(fifty(() => silent()))).toEqual({ ERR_CONSENT_REQUIRED: 50 });
    for (let later = 0; later < 10; later += 1) {
      await expect(silent()).rejects.toMatchObject({
        code: "ERR_CONSENT_REQUIRED",
        reason: "consent",
        scopes: READ,
        errorCode: "invalid_grant",
        subError: "consent_required",
      });
    }
    expect(refreshes(world)).toBe(1);
    // The user's other tokens are another matter.
    await silent(0, TASKS);
    expect(refreshes(world)).toBe(2);
    const [row] = await collect(node.cache.accounts());
    expect(row).toMatchObject({ failure: undefined });
  });

  test("is asked about again when the record has another one", async () => {
    const { world, node, silent } = await withExpired();
    world.authority.requireConsent(ADA, READ[0]!);
    await expect(silent()).rejects.toMatchObject({ code: "ERR_CONSENT_REQUIRED" });
    await node.signIn(ADA, TASKS);
    const asked = refreshes(world);
    await expect(silent()).rejects.toMatchObject({ code: "ERR_CONSENT_REQUIRED" });
    expect(refreshes(world)).toBe(asked + 1);
    await node.signIn(ADA);
    expect((await silent()).metadata.tokenSource).toBe("cache");
  });

  test("is asked about again after a minute, by one of all who come then", async () => {
    const { world, node, account, silent } = await withExpired([ADA], { refreshLease: "off" });
    const worker = nodeOn(world, node, { role: "worker" });
    world.authority.requireClaims(ADA, CLAIMS, { until: "sign-in" });
    await expect(silent()).rejects.toMatchObject({ code: "ERR_INTERACTION_REQUIRED", claims: CLAIMS });
    passTime(MINUTE_MS - 1_000);
    await expect(silent()).rejects.toMatchObject({ claims: CLAIMS });
    expect(refreshes(world)).toBe(1);
    passTime(2_000);
    world.authority.pause();
    const first = silent();
    await world.authority.whenHeld(1);
    // Another client of the same cache does not share the operation.
    const meanwhile = worker.acquireTokenSilent({ account, scopes: READ });
    await expect(meanwhile).rejects.toMatchObject({ claims: CLAIMS });
    world.authority.resume();
    await expect(first).rejects.toMatchObject({ claims: CLAIMS });
    await expect(silent()).rejects.toMatchObject({ claims: CLAIMS });
    expect(refreshes(world)).toBe(2);
  });

  test("with the demanded claims it is another request", async () => {
    const { world, node, account, silent } = await withExpired();
    world.authority.requireClaims(ADA, CLAIMS);
    await expect(silent()).rejects.toMatchObject({ claims: CLAIMS });
    await node.client.acquireTokenSilent({ account, scopes: READ, claims: CLAIMS });
    expect(refreshes(world)).toBe(2);
    expect((await silent()).metadata.tokenSource).toBe("cache");
  });

  test("of one user says nothing of another", async () => {
    const { world, silent } = await withExpired([ADA, BEN]);
    world.authority.requireConsent(ADA, READ[0]!);
    await expect(silent(0)).rejects.toMatchObject({ code: "ERR_CONSENT_REQUIRED" });
    expect((await silent(1)).metadata.tokenSource).toBe("identity-provider");
  });

  test("is remembered for all clients of a cache, and the row is written once", async () => {
    const { world, node, account, silent } = await withExpired();
    world.authority.requireConsent(ADA, READ[0]!);
    await expect(silent()).rejects.toMatchObject({ code: "ERR_CONSENT_REQUIRED" });
    const worker = nodeOn(world, node, { role: "worker" });
    for (let i = 0; i < 5; i += 1) {
      const call = worker.acquireTokenSilent({ account, scopes: READ });
      await expect(call).rejects.toMatchObject({ code: "ERR_CONSENT_REQUIRED" });
    }
    expect(refreshes(world)).toBe(1);
    const [row] = await collect(node.cache.accounts());
    expect(row).toMatchObject({ status: "consent-required", failure: { attempts: 1 } });
  });
});

/** Another client of the node's cache. */
function nodeOn(world: World, node: Node, options: Partial<ConfidentialClientOptions>): Node["client"] {
  return createConfidentialClient({
    auth: world.authority.msalAuth("contoso", WEB),
    system: { networkClient: world.authority.networkClient() },
    tokenCache: node.cache,
    ...options,
  });
}

test("an assertion that the provider refuses is refused from memory too", async () => {
  const world = createWorld();
  const auth = world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes);
  const node = world.node({ runtime: dateRuntime() }, { auth });
  const oboAssertion = (await node.signIn(ADA)).accessToken;
  world.authority.requireConsent(ADA, TASKS[0]!);
  for (let i = 0; i < 5; i += 1) {
    const call = node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: TASKS });
    await expect(call).rejects.toMatchObject({ code: "ERR_CONSENT_REQUIRED" });
  }
  expect(world.authority.count({ grant: "on_behalf_of" })).toBe(1);
});

describe("a refused client credential", () => {
  const wrong = (world: World) => ({ ...world.authority.msalAuth("contoso", WEB), clientSecret: "wrong" });

  test("stops every kind of call after one, tells nobody to sign in and benches nobody", async () => {
    const { world, node, silent } = await withExpired([ADA, BEN]);
    world.authority.rotateSecret(WEB, "the new one");
    world.authority.reset();
    await expect(silent(0)).rejects.toMatchObject({ code: "ERR_CONFIGURATION", errorCode: "invalid_client" });
    for (let i = 0; i < 5; i += 1) {
      await expect(silent(1)).rejects.toMatchObject({ code: "ERR_CONFIGURATION", retryable: false });
      await expect(silent(0, TASKS)).rejects.toMatchObject({ code: "ERR_CONFIGURATION" });
      await expect(node.client.acquireTokenByClientCredential(APP)).rejects.toMatchObject({
        code: "ERR_CONFIGURATION",
      });
    }
    expect(world.authority.calls).toHaveLength(1);
    for (const row of await collect(node.cache.accounts())) expect(row.status).toBe("ok");
  });

  test("a client with another credential is not affected, whether it works or not", async () => {
    const world = createWorld();
    const node = world.node({ runtime: dateRuntime() }, { auth: wrong(world) });
    await expect(node.client.acquireTokenByClientCredential(APP)).rejects.toMatchObject({
      code: "ERR_CONFIGURATION",
    });
    const otherWrong = nodeOn(world, node, { auth: { ...wrong(world), clientSecret: "wrong too" } });
    await expect(otherWrong.acquireTokenByClientCredential(APP)).rejects.toMatchObject({
      code: "ERR_CONFIGURATION",
    });
    expect(world.authority.count({ grant: "client_credentials" })).toBe(2);
    await nodeOn(world, node, {}).acquireTokenByClientCredential(APP);
    expect(world.authority.count({ grant: "client_credentials" })).toBe(3);
  });

  test("is tried again after a pause that doubles, and forgotten when it works", async () => {
    const world = createWorld();
    const node = world.node({ runtime: dateRuntime() }, { auth: wrong(world) });
    const calls = (): number => world.authority.count({ grant: "client_credentials" });
    const ask = (skipCache = false): Promise<unknown> =>
      node.client.acquireTokenByClientCredential({ ...APP, skipCache });
    for (const pauseMs of [5_000, 10_000, 20_000]) {
      const before = calls();
      await expect(ask()).rejects.toMatchObject({ code: "ERR_CONFIGURATION" });
      expect(calls()).toBe(before + 1);
      passTime(pauseMs - 1);
      await expect(ask()).rejects.toMatchObject({ code: "ERR_CONFIGURATION" });
      expect(calls()).toBe(before + 1);
      passTime(1);
    }
    world.authority.rotateSecret(WEB, "wrong");
    await ask();
    world.authority.rotateSecret(WEB, "another");
    const before = calls();
    await expect(ask(true)).rejects.toMatchObject({ code: "ERR_CONFIGURATION" });
    passTime(5_000);
    await expect(ask(true)).rejects.toMatchObject({ code: "ERR_CONFIGURATION" });
    expect(calls()).toBe(before + 2);
  });

  test("of many requests at once is one refusal: the pause is the first one's", async () => {
    const world = createWorld();
    const node = world.node({ runtime: dateRuntime(), refreshLease: "off" }, { auth: wrong(world) });
    const calls = (): number => world.authority.count({ grant: "client_credentials" });
    world.authority.pause();
    const crowd = ["notes", "tasks"].flatMap((api) =>
      [true, false].map((skipCache) =>
        node.client.acquireTokenByClientCredential({ scopes: [`api://${api}/.default`], skipCache }),
      ),
    );
    await world.authority.whenHeld(4);
    world.authority.resume();
    expect(await codesOf(crowd)).toEqual({ ERR_CONFIGURATION: 4 });
    passTime(4_999);
    await expect(node.client.acquireTokenByClientCredential(APP)).rejects.toThrow();
    expect(calls()).toBe(4);
    passTime(1);
    await expect(node.client.acquireTokenByClientCredential(APP)).rejects.toThrow();
    expect(calls()).toBe(5);
  });

  test("of one tenant says nothing of another", async () => {
    const world = createWorld();
    const node = world.node({ runtime: dateRuntime() }, { auth: wrong(world) });
    await expect(node.client.acquireTokenByClientCredential(APP)).rejects.toThrow();
    const authority = `https://${world.authority.authorityHost}/${world.authority.tenants[1]!.tenantId}`;
    await expect(node.client.acquireTokenByClientCredential({ ...APP, authority })).rejects.toThrow();
    expect(world.authority.count({ grant: "client_credentials" })).toBe(2);
  });

  test("an assertion is known by its key and its subject, not by its time", async () => {
    const world = createWorld();
    let made = 0;
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const assertionOf = (kid: string): string =>
      `${part({ alg: "RS256", kid })}.${part({ iss: WEB, sub: WEB, jti: (made += 1) })}.c2ln`;
    const { clientSecret: _secret, ...auth } = world.authority.msalAuth("contoso", WEB);
    let kid = "old key";
    const node = world.node(
      { runtime: dateRuntime() },
      { auth: { ...auth, clientAssertion: () => Promise.resolve(assertionOf(kid)) } },
    );
    const ask = (): Promise<unknown> => node.client.acquireTokenByClientCredential(APP);
    for (let i = 0; i < 5; i += 1) await expect(ask()).rejects.toMatchObject({ errorCode: "invalid_client" });
    expect(world.authority.count({ grant: "client_credentials" })).toBe(1);
    kid = "new key";
    await expect(ask()).rejects.toMatchObject({ errorCode: "invalid_client" });
    expect(world.authority.count({ grant: "client_credentials" })).toBe(2);
    expect(made).toBeGreaterThan(2);
  });
});

describe("a Retry-After", () => {
  test("is kept to across operations and clients, and the error says how long is left", async () => {
    const { world, node, account, silent } = await withExpired();
    world.authority.failNext({ kind: "429", retryAfterSeconds: 30 });
    await expect(silent()).rejects.toMatchObject({ code: "ERR_THROTTLED", retryAfterMs: 30_000 });
    passTime(10_000);
    await expect(silent()).rejects.toMatchObject({ code: "ERR_THROTTLED", retryAfterMs: 20_000 });
    const other = nodeOn(world, node, {});
    await expect(other.acquireTokenSilent({ account, scopes: READ })).rejects.toMatchObject({
      code: "ERR_THROTTLED",
    });
    expect(refreshes(world)).toBe(1);
    passTime(20_000);
    expect((await silent()).metadata.tokenSource).toBe("identity-provider");
  });

  test.each<[string, object, object]>([
    ["resource", { resource: "api://a" }, { resource: "api://b" }],
    ["parameter of the application's own", { extraParameters: { slice: "1" } }, {}],
    ["query of the application's own", { extraQueryParameters: { slice: "1" } }, {}],
  ])("for one %s leaves others alone", async (_what, one, other) => {
    const { world, node, account } = await withExpired();
    const ask = (more: object): Promise<unknown> =>
      node.client.acquireTokenSilent({ account, scopes: READ, ...more });
    world.authority.failNext({ kind: "429", retryAfterSeconds: 30 });
    await expect(ask(one)).rejects.toMatchObject({ code: "ERR_THROTTLED" });
    await expect(ask(one)).rejects.toMatchObject({ code: "ERR_THROTTLED" });
    expect(refreshes(world)).toBe(1);
    await ask(other);
    expect(refreshes(world)).toBe(2);
  });

  test("may name a time instead of seconds, as RFC 9110 lets it", async () => {
    const { world, node, account } = await withExpired();
    const inner = world.authority.networkClient();
    const network: typeof inner = {
      ...inner,
      async sendPostRequestAsync<T>(...asked: Parameters<typeof inner.sendPostRequestAsync>) {
        const answer = await inner.sendPostRequestAsync<T>(...asked);
        const headers = { ...answer.headers, "Retry-After": new Date(Date.now() + 30_000).toUTCString() };
        return { ...answer, headers };
      },
    };
    const client = nodeOn(world, node, { system: { networkClient: network } });
    world.authority.failNext({ kind: "503" });
    const asked = { account, scopes: READ };
    const failed: unknown = await client.acquireTokenSilent(asked).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "ERR_PROVIDER_UNAVAILABLE" });
    const { retryAfterMs } = failed as { retryAfterMs: number };
    expect(Math.abs(retryAfterMs - 30_000)).toBeLessThanOrEqual(1_000);
    await expect(client.acquireTokenSilent(asked)).rejects.toMatchObject({ retryable: true });
    expect(refreshes(world)).toBe(1);
  });

  test("for one request leaves others alone", async () => {
    const { world, silent } = await withExpired([ADA, BEN]);
    world.authority.failNext({ kind: "429", retryAfterSeconds: 30 });
    await expect(silent()).rejects.toMatchObject({ code: "ERR_THROTTLED" });
    await silent(1);
    await silent(0, TASKS);
    expect(refreshes(world)).toBe(3);
  });
});
