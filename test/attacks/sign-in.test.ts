import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../src/runtime.ts";
import type { RefreshLease } from "../../src/store/refresh-lease.ts";
import { createSignIn, type SignInBegun } from "../../src/web/sign-in.ts";
import { settle } from "../support/settle.ts";
import { ADA, BEN, createWorld, READ, REDIRECT_URI, steeredRuntime, type Node } from "../support/world.ts";
import { codeOf } from "./support.ts";

const DAY_MS = 86_400_000;

const signInOf = ({ client }: Node, flowTtlMs?: number) =>
  createSignIn({
    client,
    redirectUri: REDIRECT_URI,
    scopes: READ,
    ...(flowTtlMs !== undefined && { flowTtlMs }),
  });

/** The redirect that brings `code` to whoever began this flow. */
function redirectTo(begun: SignInBegun, code: string | undefined): string {
  const state = new URL(begun.url).searchParams.get("state") ?? "";
  return `/redirect?${new URLSearchParams({ code: code ?? "", state }).toString()}`;
}

describe("a code that somebody has stolen", () => {
  test("gives the thief nothing, also while the victim is redeeming it", async () => {
    const { authority, ...world } = createWorld();
    const signIn = signInOf(world.node());
    const [victim, thief] = [await signIn.beginSignIn(), await signIn.beginSignIn()];
    const { code } = (await authority.authorize(victim.url, { user: ADA })).params;

    authority.pause();
    const rightful = signIn.completeSignIn({ flow: victim.flow, url: redirectTo(victim, code) });
    await authority.whenHeld(1);
    const stolen = codeOf(signIn.completeSignIn({ flow: thief.flow, url: redirectTo(thief, code) }));
    await settle();
    authority.resume();

    expect(await stolen).toBe("ERR_CODE_REDEEMED");
    expect((await rightful).account.username).toBe(ADA);
  });

  test("is not redeemed with the victim's verifier for another nonce or redirect URI", async () => {
    const { authority, ...world } = createWorld();
    const { client } = world.node({ refreshLease: "off" });
    const request = { scopes: READ, redirectUri: REDIRECT_URI };
    const { params } = await authority.authorize(await client.getAuthCodeUrl(request), { user: ADA });

    authority.pause();
    const mine = { ...request, code: params["code"] ?? "" };
    const calls = [
      client.acquireTokenByCode(mine),
      client.acquireTokenByCode({ ...mine }),
      client.acquireTokenByCode({ ...mine, redirectUri: "http://127.0.0.1/elsewhere" }),
      client.acquireTokenByCode(mine, { code: mine.code, nonce: "another" }),
    ].map((call) => codeOf(call));
    await settle();
    await authority.whenHeld(1);
    authority.resume();

    const [first, same, otherUri, otherNonce] = await Promise.all(calls);
    expect([first, same]).toEqual([undefined, undefined]);
    expect(otherUri).toBeDefined();
    expect(otherNonce).toBeDefined();
  });
});

test("a flow is completed once, however long flowTtlMs lets it live", async () => {
  const runtime = steeredRuntime();
  const { authority, ...world } = createWorld({ runtime });
  const signIn = signInOf(world.node({ runtime }), 7 * DAY_MS);
  const begun = await signIn.beginSignIn();
  const codeFor = async (user: string) => (await authority.authorize(begun.url, { user })).params["code"];

  await signIn.completeSignIn({ flow: begun.flow, url: redirectTo(begun, await codeFor(ADA)) });
  for (const wait of [DAY_MS + 1_000, 5 * DAY_MS]) {
    runtime.advance(wait);
    const again = signIn.completeSignIn({ flow: begun.flow, url: redirectTo(begun, await codeFor(BEN)) });
    expect(await codeOf(again)).toBe("ERR_FLOW_REPLAYED");
  }
});

test("a lease backend that never answers keeps nobody from signing in", async () => {
  const never = (): Promise<never> => new Promise(() => {});
  const lease: RefreshLease = { acquire: never, renew: never, release: never };
  const hurried = {
    ...systemRuntime,
    setTimer: (callback: () => void) => systemRuntime.setTimer(callback, 0),
  };
  const world = createWorld();
  const node = world.node({ store: { ...world.store, lease }, runtime: hurried });
  expect((await node.signIn(ADA)).metadata.saved).toBe(true);
  expect(node.events).toContainEqual(expect.objectContaining({ type: "store-failed", store: "lease" }));
}, 5_000);
