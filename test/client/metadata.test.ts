import { describe, expect, test } from "vitest";
import { systemRuntime, type Runtime } from "../../src/runtime.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { chaosStore } from "../support/chaos.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { HOUR_MS, MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { ADA, READ, REDIRECT_URI, createWorld, type AcquisitionEvent, type Node } from "../support/world.ts";

steerDates();

const TASKS = ["api://tasks/read"];
const APP = { scopes: ["api://notes/.default"] };
const CLAIMS = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });

const acquisitions = (node: Node): readonly AcquisitionEvent[] => node.acquisitions;

describe("a result says", () => {
  test("how long it took in the cache, on the network and in all, and nothing of it for a hit in memory", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const node = world.node({ store: link, runtime: dateRuntime(), refreshLease: "off" });
    const { account, metadata: signedIn } = await node.signIn(ADA);
    expect(signedIn).toMatchObject({ durationTotalInMs: 0, durationInCacheInMs: 0, durationInHttpInMs: 0 });
    passTime(HOUR_MS);
    const reading = link.holdBefore("get");
    world.authority.pause();
    const renewing = node.client.acquireTokenSilent({ account: account!, scopes: READ });
    await reading.arrived;
    passTime(300);
    reading.open();
    await world.authority.whenHeld(1);
    const joined = node.client.acquireTokenSilent({ account: account!, scopes: READ });
    passTime(500);
    const saving = link.holdBefore("put", { key: ":user:" });
    world.authority.resume();
    await saving.arrived;
    passTime(40);
    saving.open();
    const result = await renewing;
    expect(result.metadata).toMatchObject({
      durationTotalInMs: 840,
      durationInCacheInMs: 340,
      durationInHttpInMs: 500,
    });
    // Whoever came later has waited for less; the work was the same.
    expect((await joined).metadata).toMatchObject({
      durationTotalInMs: 540,
      durationInCacheInMs: 340,
      durationInHttpInMs: 500,
    });
    const hit = await node.client.acquireTokenSilent({ account: account!, scopes: READ });
    expect(hit.metadata).toEqual({
      tokenSource: "cache",
      cacheRefreshReason: "not-applicable",
      cacheLevel: "L1",
      saved: true,
      nearExpiry: false,
      durationTotalInMs: 0,
      durationInCacheInMs: 0,
      durationInHttpInMs: 0,
    });
  });

  test("why the provider was asked, in MSAL's own words for it", async () => {
    const node = createWorld().node({ runtime: dateRuntime() });
    const { account, metadata } = await node.signIn(ADA);
    expect(metadata.cacheRefreshReason).toBe("no-cached-access-token");
    const reason = async (request: object): Promise<string> =>
      (await node.client.acquireTokenSilent({ account: account!, scopes: READ, ...request })).metadata
        .cacheRefreshReason;
    expect(await reason({})).toBe("not-applicable");
    expect(await reason({ forceRefresh: true })).toBe("force-refresh-or-claims");
    expect(await reason({ claims: CLAIMS })).toBe("force-refresh-or-claims");
    expect(await reason({ scopes: TASKS })).toBe("no-cached-access-token");
    passTime(HOUR_MS);
    expect(await reason({})).toBe("expired");
    const app = async (request: object): Promise<string> =>
      (await node.client.acquireTokenByClientCredential({ ...APP, ...request }))!.metadata.cacheRefreshReason;
    expect(await app({})).toBe("no-cached-access-token");
    expect(await app({ skipCache: true })).toBe("force-refresh-or-claims");
    // In its last minutes, while the record is kept.
    passTime(HOUR_MS - MINUTE_MS);
    expect(await app({})).toBe("expired");
  });
});

describe("a listener is told of each acquisition", () => {
  test("once, with what its result says, by whichever method", async () => {
    const world = createWorld();
    const node = world.node();
    const first = await node.signIn(ADA);
    const account = first.account!;
    const silent = await node.client.acquireTokenSilent({ account, scopes: READ });
    const app = (await node.client.acquireTokenByClientCredential(APP))!;
    const seen = acquisitions(node);
    expect(seen.map(({ api }) => api)).toEqual([
      "acquireTokenByCode",
      "acquireTokenSilent",
      "acquireTokenByClientCredential",
    ]);
    for (const [index, { metadata }] of [first, silent, app].entries()) {
      const { tokenSource, cacheLevel, cacheRefreshReason, saved, nearExpiry } = metadata;
      expect(seen[index]).toMatchObject({
        outcome: "ok",
        isBackground: false,
        tokenSource,
        cacheLevel,
        cacheRefreshReason,
        saved,
        nearExpiry,
        code: undefined,
        errorCode: undefined,
      });
      expect(seen[index]!.durationTotalInMs).toBeGreaterThanOrEqual(0);
    }
  });

  test("that failed, with the codes of its error", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA);
    world.authority.revokeUser(ADA);
    const revoked = node.client.acquireTokenSilent({ account: account!, scopes: TASKS });
    await expect(revoked).rejects.toThrow();
    await expect(
      node.client.acquireTokenByCode({ code: "x", scopes: READ, redirectUri: REDIRECT_URI }),
    ).rejects.toThrow();
    await expect(node.client.acquireTokenSilent({ account: null as never, scopes: READ })).rejects.toThrow();
    expect(acquisitions(node).slice(1)).toMatchObject([
      {
        api: "acquireTokenSilent",
        outcome: "failed",
        code: "ERR_INTERACTION_REQUIRED",
        errorCode: "invalid_grant",
      },
      { api: "acquireTokenByCode", outcome: "failed", errorCode: "invalid_grant", tokenSource: undefined },
      { api: "acquireTokenSilent", outcome: "failed", code: "ERR_OPTION_INVALID", errorCode: undefined },
    ]);
  });

  test("that was made ahead of time, also where it failed and nobody noticed", async () => {
    const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
    const node = world.node({ runtime: dateRuntime() });
    const { account } = await node.signIn(ADA);
    const ask = (): Promise<unknown> => node.client.acquireTokenSilent({ account: account!, scopes: READ });
    const background = (): AcquisitionEvent[] =>
      acquisitions(node).filter(({ isBackground }) => isBackground);
    passTime(11 * MINUTE_MS);
    world.authority.failNext({ kind: "503" });
    await ask();
    await expect.poll(() => background().length).toBe(1);
    passTime(MINUTE_MS);
    await ask();
    await expect.poll(() => background().length).toBe(2);
    expect(background()).toMatchObject([
      { api: "acquireTokenSilent", outcome: "failed", errorCode: "server_error", tokenSource: undefined },
      {
        api: "acquireTokenSilent",
        outcome: "ok",
        tokenSource: "identity-provider",
        cacheLevel: "none",
        cacheRefreshReason: "proactively-refreshed",
        saved: true,
      },
    ]);
  });

  test("without any token, secret, or name of a user", async () => {
    const world = createWorld();
    const auth = world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes);
    const node = world.node({}, { auth });
    const { accessToken, account } = await node.signIn(ADA);
    const oboAssertion = accessToken;
    await node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: TASKS });
    await node.client.acquireTokenByClientCredential({ scopes: ["api://tasks/.default"] });
    world.authority.requireConsent(ADA, READ[0]!);
    const refused = node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
    await expect(refused).rejects.toThrow();
    const told = JSON.stringify(acquisitions(node));
    expect(acquisitions(node)).toHaveLength(4);
    const { homeAccountId, username } = account!;
    for (const secret of [...world.authority.issued, homeAccountId, username, auth.clientSecret!]) {
      expect(told.includes(secret)).toBe(false);
    }
  });

  test("and where nobody listens nothing is measured for a hit", async () => {
    let readings = 0;
    const runtime: Runtime = {
      ...systemRuntime,
      monotonicNow() {
        readings += 1;
        return 0;
      },
    };
    const readingsOfHits = async (onEvent: (() => void) | undefined): Promise<number> => {
      const node = createWorld().node({ runtime, onEvent: onEvent as () => void });
      const { account } = await node.signIn(ADA);
      const request = { account: account!, scopes: READ };
      await node.client.acquireTokenSilent(request);
      readings = 0;
      for (let i = 0; i < 100; i += 1) await node.client.acquireTokenSilent(request);
      return readings;
    };
    const unobserved = await readingsOfHits(undefined);
    expect((await readingsOfHits(() => undefined)) - unobserved).toBe(200);
    expect(unobserved).toBeLessThanOrEqual(100);
  });
});
