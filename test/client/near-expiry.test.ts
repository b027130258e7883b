import { describe, expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { collect } from "../support/collect.ts";
import { dateRuntime } from "../support/date-runtime.ts";
import { HOUR_MS, MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { ADA, READ, createWorld, type Node, type World } from "../support/world.ts";
import type { ConfidentialClientOptions } from "../../src/client/confidential-client.ts";
import type { TokenResult } from "../../src/client/result.ts";

steerDates();

/** So late in a token's hour that MSAL counts it as expired, and an API does not. */
const IN_THE_MARGIN_MS = HOUR_MS - 2 * MINUTE_MS;

interface Asking {
  /** Gets the first token. */
  begin(node: Node): Promise<() => Promise<TokenResult | null>>;
  readonly grant: "refresh_token" | "client_credentials" | "on_behalf_of";
}

const flows: Readonly<Record<string, Asking>> = {
  silent: {
    grant: "refresh_token",
    async begin(node) {
      const { account } = await node.signIn(ADA);
      return () => node.client.acquireTokenSilent({ account: account!, scopes: READ });
    },
  },
  "client credentials": {
    grant: "client_credentials",
    async begin(node) {
      const ask = (): Promise<TokenResult | null> =>
        node.client.acquireTokenByClientCredential({ scopes: ["api://notes/.default"] });
      await ask();
      return ask;
    },
  },
  "on-behalf-of": {
    grant: "on_behalf_of",
    async begin(node) {
      const oboAssertion = (await node.signIn(ADA)).accessToken;
      const ask = (): Promise<TokenResult | null> =>
        node.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: ["api://tasks/read"] });
      await ask();
      return ask;
    },
  },
};

function nodeOf(world: World, flow: string, options: Partial<ConfidentialClientOptions> = {}): Node {
  const auth =
    flow === "on-behalf-of" ? { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) } : {};
  return world.node({ runtime: dateRuntime() }, { ...auth, ...options });
}

describe.each(Object.entries(flows))("%s, with the identity provider down", (name, { begin, grant }) => {
  test.each(["503", "429", "reset"] as const)(
    "(%s): a token in its last minutes is served and says so, until the provider answers again",
    async (kind) => {
      const world = createWorld();
      const ask = await begin(nodeOf(world, name));
      const before = (await ask())!;
      passTime(IN_THE_MARGIN_MS);
      world.authority.failNext({ kind, count: 2, retryAfterSeconds: 0 });
      // Whoever comes within five seconds of a failure does not wait for the next.
      for (let i = 0; i < 8; i += 1) {
        if (i === 4) passTime(5_001);
        const late = (await ask())!;
        expect(late.accessToken).toBe(before.accessToken);
        expect(late.expiresOn!.getTime()).toBeGreaterThan(Date.now());
        expect(late.metadata).toMatchObject({
          tokenSource: "cache",
          cacheRefreshReason: "expired",
          nearExpiry: true,
        });
      }
      passTime(5_001);
      const renewed = (await ask())!;
      expect(renewed.accessToken).not.toBe(before.accessToken);
      expect(renewed.metadata).toMatchObject({ tokenSource: "identity-provider", nearExpiry: false });
      expect(world.authority.count({ grant, outcome: kind })).toBe(2);
    },
  );

  test("a token that has really expired is not served", async () => {
    const world = createWorld();
    const ask = await begin(nodeOf(world, name));
    passTime(HOUR_MS + 1_000);
    world.authority.failNext({ kind: "503" });
    await expect(ask()).rejects.toMatchObject({ code: "ERR_PROVIDER_UNAVAILABLE", retryable: true });
  });

  test("MSAL's margin holds where the application says so", async () => {
    const world = createWorld();
    const ask = await begin(nodeOf(world, name, { serveNearExpiry: false }));
    passTime(IN_THE_MARGIN_MS);
    world.authority.failNext({ kind: "503" });
    await expect(ask()).rejects.toMatchObject({ code: "ERR_PROVIDER_UNAVAILABLE", retryable: true });
  });
});

test("a token in its last minutes does not answer a demand for a new one", async () => {
  const world = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  passTime(IN_THE_MARGIN_MS);
  world.authority.failNext({ kind: "503" });
  const demand = node.client.acquireTokenSilent({ account: account!, scopes: READ, forceRefresh: true });
  await expect(demand).rejects.toMatchObject({ code: "ERR_PROVIDER_UNAVAILABLE" });
});

test("a user whose refresh token is refused is not served the last minutes of the old one", async () => {
  const world = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  passTime(IN_THE_MARGIN_MS);
  world.authority.revokeUser(ADA);
  const silent = node.client.acquireTokenSilent({ account: account!, scopes: READ });
  await expect(silent).rejects.toMatchObject({ code: "ERR_INTERACTION_REQUIRED" });
});

test("whoever is served so is not benched", async () => {
  const world = createWorld();
  const node = world.node();
  const { account } = await node.signIn(ADA);
  passTime(IN_THE_MARGIN_MS);
  world.authority.failNext({ kind: "503" });
  await node.client.acquireTokenSilent({ account: account!, scopes: READ });
  const [row] = await collect(node.cache.accounts());
  expect(row).toMatchObject({ status: "retry-later", failure: { attempts: 1 } });
});
