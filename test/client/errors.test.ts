import { inspect } from "node:util";
import { AuthError, InteractionRequiredAuthError, ServerError } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { canRetry, isAcquisitionError, needsSignIn, type AcquisitionError } from "../../src/index.ts";
import type { TokenResult } from "../../src/client/result.ts";
import { ADA, createWorld, READ, WEB, type World } from "../support/world.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { HOUR_MS, passTime, steerDates } from "../support/dates.ts";

steerDates();

const APP = ["api://notes/.default"];

async function failureOf(work: Promise<unknown>): Promise<AcquisitionError> {
  const error: unknown = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!isAcquisitionError(error)) throw new Error(`not an acquisition error: ${inspect(error)}`);
  return error;
}

/** A user whose access token has expired. */
async function withExpiredToken(): Promise<{
  world: World;
  silent: () => Promise<unknown>;
  account: NonNullable<Awaited<ReturnType<ReturnType<World["node"]>["signIn"]>>["account"]>;
}> {
  const world = createWorld();
  const node = world.node({ runtime: dateRuntime() });
  const { account } = await node.signIn(ADA, READ);
  passTime(2 * HOUR_MS);
  return {
    world,
    account: account!,
    silent: () => node.client.acquireTokenSilent({ account: account!, scopes: READ }),
  };
}

describe("the error of a failed acquisition", () => {
  test("says that nobody has signed in, and stays an instance of MSAL's class", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await world.node().signIn(ADA, READ);
    await node.client.removeAccount(account!);
    const error = await failureOf(node.client.acquireTokenSilent({ account: account!, scopes: READ }));
    expect(error).toBeInstanceOf(InteractionRequiredAuthError);
    expect(error).toMatchObject({
      name: "InteractionRequiredAuthError",
      code: "ERR_INTERACTION_REQUIRED",
      errorCode: "no_tokens_found",
      reason: "no-tokens",
      retryable: false,
      scopes: READ,
    });
    expect(error.account).toMatchObject({ homeAccountId: account!.homeAccountId });
    expect(needsSignIn(error)).toBe(true);
    expect(canRetry(error)).toBe(false);
  });

  test("keeps MSAL's own error as its cause, with the same words and correlation id", async () => {
    const { world, silent } = await withExpiredToken();
    world.authority.revokeUser(ADA);
    const error = await failureOf(silent());
    expect(error).toMatchObject({ code: "ERR_INTERACTION_REQUIRED", reason: "refresh-token-refused" });
    expect(error.cause).toBeInstanceOf(AuthError);
    expect(isAcquisitionError(error.cause)).toBe(false);
    expect(error.cause).toMatchObject({
      message: error.message,
      errorCode: error.errorCode,
      correlationId: error.correlationId,
    });
    expect(error.correlationId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("carries the scopes that want consent", async () => {
    const { world, silent } = await withExpiredToken();
    world.authority.requireConsent(ADA, READ[0]!);
    const error = await failureOf(silent());
    expect(error).toMatchObject({ code: "ERR_CONSENT_REQUIRED", reason: "consent", scopes: READ });
    expect(needsSignIn(error)).toBe(true);
  });

  test("carries the claims to challenge with", async () => {
    const { world, silent } = await withExpiredToken();
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
    world.authority.requireClaims(ADA, claims, { until: "sign-in" });
    const error = await failureOf(silent());
    expect(error).toMatchObject({ code: "ERR_INTERACTION_REQUIRED", reason: "claims" });
    expect(JSON.parse(error.claims!)).toEqual(JSON.parse(claims));
  });

  test("says how long to wait, also where the request is not sent again because of that", async () => {
    const { world, silent } = await withExpiredToken();
    world.authority.failNext({ kind: "429", retryAfterSeconds: 30 });
    const first = await failureOf(silent());
    expect(first).toMatchObject({ code: "ERR_THROTTLED", retryable: true, retryAfterMs: 30_000 });
    expect(canRetry(first)).toBe(true);
    expect(needsSignIn(first)).toBe(false);
    const calls = world.authority.count({ grant: "refresh_token" });
    passTime(10_000);
    const second = await failureOf(silent());
    expect(second).toMatchObject({ code: "ERR_THROTTLED", retryable: true });
    expect(second.retryAfterMs).toBeGreaterThan(19_000);
    expect(second.retryAfterMs).toBeLessThanOrEqual(20_000);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(calls);
  });

  test.each(["500", "503", "reset"] as const)("is retryable while the provider fails (%s)", async (kind) => {
    const { world, silent } = await withExpiredToken();
    world.authority.failNext({ kind, count: 5 });
    const error = await failureOf(silent());
    expect(error).toMatchObject({ code: "ERR_PROVIDER_UNAVAILABLE", retryable: true, reason: undefined });
    expect(needsSignIn(error)).toBe(false);
  });

  test("tells a wrong secret from anything a user could mend", async () => {
    const world = createWorld();
    const node = world.node();
    const { account } = await node.signIn(ADA, READ);
    world.authority.rotateSecret(WEB, "another-secret");
    const error = await failureOf(node.client.acquireTokenByClientCredential({ scopes: APP }));
    expect(error).toBeInstanceOf(ServerError);
    expect(error).toMatchObject({ code: "ERR_CONFIGURATION", errorCode: "invalid_client", retryable: false });
    passTime(2 * HOUR_MS);
    const user = await failureOf(node.client.acquireTokenSilent({ account: account!, scopes: READ }));
    expect(user.code).toBe("ERR_CONFIGURATION");
    expect(needsSignIn(user)).toBe(false);
  });

  test("shows in a log neither who the user is nor what the claims are", async () => {
    const { world, silent, account } = await withExpiredToken();
    world.authority.requireClaims(ADA, '{"access_token":{"acrs":{"value":"c-secret"}}}', {
      until: "sign-in",
    });
    const error = await failureOf(silent());
    const asCauseLogged = JSON.stringify({ ...error, cause: { ...(error.cause as object) } });
    for (const text of [inspect(error, { depth: 9 }), JSON.stringify(error), asCauseLogged]) {
      expect(text).not.toContain(account.homeAccountId);
      expect(text).not.toContain(ADA);
      expect(text).not.toContain("c-secret");
    }
    expect((error.cause as InteractionRequiredAuthError).claims).toBe(error.claims);
  });
});

describe("an answer that is no identity provider's, as a proxy gives it", () => {
  test.each<[number, unknown]>([
    [503, { message: "Service Unavailable" }],
    [502, "Bad Gateway"],
    [429, {}],
    [403, { message: "Forbidden" }],
    [400, { error: { code: 5 } }],
    [200, {}],
    [200, { access_token: 5 }],
    [200, "signed in to the Wi-Fi"],
    [200, null],
    [302, []],
  ])("(%i %j) is no token, and may be tried again", async (status, body) => {
    const world = createWorld();
    const inner = world.authority.networkClient();
    let isProxied = false;
    const networkClient = {
      ...inner,
      sendPostRequestAsync: <T>(...asked: Parameters<typeof inner.sendPostRequestAsync>) =>
        isProxied
          ? Promise.resolve({ status, headers: {}, body: body as T })
          : inner.sendPostRequestAsync<T>(...asked),
    };
    const node = world.node({ runtime: dateRuntime() }, { system: { networkClient } });
    const { account, accessToken } = await node.signIn(ADA);
    const ask = (forceRefresh = false): Promise<TokenResult> =>
      node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh });
    isProxied = true;
    const code = status === 429 ? "ERR_THROTTLED" : "ERR_PROVIDER_UNAVAILABLE";
    expect(await failureOf(ask(true))).toMatchObject({ code, retryable: true });
    expect(await failureOf(node.client.acquireTokenByClientCredential({ scopes: APP }))).toMatchObject({
      code,
    });
    passTime(57 * 60_000);
    expect(await ask()).toMatchObject({ accessToken, metadata: { nearExpiry: true } });
    isProxied = false;
    expect((await ask(true)).metadata.tokenSource).toBe("identity-provider");
  });
});
