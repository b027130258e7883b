import { expect, test } from "vitest";
import { DEFAULT_CLIENT_IDS, type LocalAuthority } from "../../src/testing/index.ts";
import { ADA, playScenario } from "./scenario.ts";

const CLAIMS = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });

/** An application that says it can handle claims challenges. */
const capable = (authority: LocalAuthority) => ({
  ...authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.web),
  clientCapabilities: ["cp1"],
});

const fingerprintOf = ({ body }: { body: unknown }): string => (body as { fingerprint: string }).fingerprint;

test("R5: an API that revokes a token is asked with a stronger one: one request with the claims, one sign-in with them, and the old token is used no more, on any node", () =>
  playScenario(async ({ authority, api, webApp, browser }) => {
    const auth = capable(authority);
    const ada = browser();
    const farm = [await webApp({ auth, coherenceBoundMs: 1 }), await webApp({ auth, coherenceBoundMs: 1 })];
    const [first, second] = farm.map(({ origin }) => `${origin}/profile`) as [string, string];
    await ada.signIn(farm[0]!.origin, ADA);
    const before = await ada.visit(first);
    expect(before).toMatchObject({
      status: 200,
      body: { source: "cache", profile: { username: ADA, capabilities: ["cp1"] } },
    });
    expect(fingerprintOf(await ada.visit(second))).toBe(fingerprintOf(before));

    api.revoke(CLAIMS);
    authority.requireClaims(ADA, CLAIMS, { until: "sign-in" });
    const after = await ada.signIn(farm[0]!.origin, ADA, "/profile");
    expect(after).toMatchObject({
      url: first,
      status: 200,
      body: { source: "cache", profile: { username: ADA, capabilities: ["cp1"] } },
    });
    expect(fingerprintOf(after)).not.toBe(fingerprintOf(before));
    const query = new URL(after.picker!).searchParams;
    expect(JSON.parse(query.get("claims")!)).toMatchObject(JSON.parse(CLAIMS) as object);
    expect(query.get("login_hint")).toBe(ADA);
    // Before the challenge, at it, and after the sign-in.
    const old = fingerprintOf(before);
    expect(api.tokens).toEqual([old, old, old, fingerprintOf(after)]);
    for (const page of [second, first, second]) {
      expect(await ada.visit(page)).toMatchObject({
        status: 200,
        body: { source: "cache", fingerprint: fingerprintOf(after) },
      });
    }
    expect(new Set(api.tokens.slice(3))).toEqual(new Set([fingerprintOf(after)]));
    expect(authority.count({ grant: "refresh_token" })).toBe(1);
    return { authorize: 2, authorization_code: 2, refresh_token: 1 };
  }));

test("R5: where the refresh token is enough, 20 callers with one challenge make one request, and every node serves its answer", () =>
  playScenario(async ({ authority, api, webApp, browser }) => {
    const auth = capable(authority);
    const ada = browser();
    const farm = [await webApp({ auth, coherenceBoundMs: 1 }), await webApp({ auth, coherenceBoundMs: 1 })];
    const [first, second] = farm.map(({ origin }) => `${origin}/profile`) as [string, string];
    await ada.signIn(farm[0]!.origin, ADA);
    const before = fingerprintOf(await ada.get(first));
    expect(fingerprintOf(await ada.get(second))).toBe(before);

    api.revoke(CLAIMS);
    authority.requireClaims(ADA, CLAIMS);
    authority.pause();
    const crowd = Array.from({ length: 20 }, () => ada.get(first));
    await authority.whenHeld(1);
    // All of them have been challenged, and wait for the one answer.
    await expect.poll(() => api.tokens.length).toBe(22);
    authority.resume();
    const prints = new Set((await Promise.all(crowd)).map(fingerprintOf));
    expect(prints.size).toBe(1);
    expect(prints.has(before)).toBe(false);
    expect(await ada.get(second)).toMatchObject({ status: 200, body: { source: "cache" } });
    expect(fingerprintOf(await ada.get(second))).toBe([...prints][0]);

    // An API that refuses the stronger token too: one more request, and the refusal is the page's.
    api.revoke(CLAIMS, "any");
    expect(await ada.get(first)).toMatchObject({ status: 502 });
    expect(api.tokens.slice(-2)).toEqual([[...prints][0], expect.not.stringMatching([...prints][0]!)]);
    return { authorize: 1, authorization_code: 1, refresh_token: 2 };
  }));
