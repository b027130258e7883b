import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ADA,
  authorityWith,
  authorizeUrl,
  BEN,
  claimsOf,
  CLEO,
  EXPIRED_FOR_MSAL,
  inProcessClient,
  manualRuntime,
  NOTES_READ,
  postToken,
  REDIRECT,
  signIn,
  tokensFor,
} from "./support.ts";
import type { LocalAuthority } from "../../../src/testing/authority/index.ts";

const refresh = (authority: LocalAuthority, refreshToken: string, tenant = "contoso") =>
  postToken(
    authority,
    { grant_type: "refresh_token", refresh_token: refreshToken, scope: NOTES_READ },
    tenant,
  );

describe("refresh through MSAL", () => {
  test.each(["reusable", "rolling", "one-time"] as const)(
    "%s: MSAL refreshes again and again, each time with the newest refresh token",
    async (refreshTokens) => {
      const authority = authorityWith({ refreshTokens, lifetimes: EXPIRED_FOR_MSAL });
      const client = inProcessClient(authority);
      const { account } = await signIn(authority, client);
      for (let round = 0; round < 3; round += 1) {
        const result = await client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ] });
        expect(result.fromCache).toBe(false);
      }
      expect(authority.count({ grant: "refresh_token", user: ADA, outcome: "ok" })).toBe(3);
      const used = authority.calls.flatMap((call) => call.refreshTokenFingerprint ?? []);
      expect(new Set(used).size).toBe(3);
    },
  );

  test("refresh_in reaches MSAL as refreshOn", async () => {
    const authority = authorityWith({ lifetimes: { refreshInSeconds: 1000 } });
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    const hit = await client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ] });
    expect(hit.fromCache).toBe(true);
    expect(hit.expiresOn!.getTime() - hit.refreshOn!.getTime()).toBe(2_600_000);
  });

  test("a revoked user must sign in again, and can", async () => {
    const authority = authorityWith({ lifetimes: EXPIRED_FOR_MSAL });
    const client = inProcessClient(authority);
    const { account } = await signIn(authority, client);
    expect(authority.revokeUser(account!.localAccountId)).toBe(1);
    await expect(
      client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ] }),
    ).rejects.toMatchObject({ name: "InteractionRequiredAuthError", errorNo: 50173, subError: "bad_token" });
    await signIn(authority, client);
    const again = await client.acquireTokenSilent({ account: account!, scopes: [NOTES_READ] });
    expect(again.fromCache).toBe(false);
  });
});

describe("what becomes of a spent refresh token", () => {
  test("reusable: it stays valid", async () => {
    const authority = authorityWith();
    const { refresh_token: first = "" } = await tokensFor(authority);
    const answers = [await refresh(authority, first), await refresh(authority, first)];
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    expect(answers[0]?.body["refresh_token"]).not.toBe(answers[1]?.body["refresh_token"]);
  });

  test("rolling: it stays valid for the grace period from its first use, and the new one goes on", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime, refreshTokens: "rolling", rollingGraceMs: 10_000 });
    const { refresh_token: first = "" } = await tokensFor(authority);
    const { body } = await refresh(authority, first);
    runtime.advance(9999);
    expect((await refresh(authority, first)).status).toBe(200);
    runtime.advance(1);
    expect((await refresh(authority, first)).body).toMatchObject({
      error: "invalid_grant",
      suberror: "bad_token",
    });
    expect((await refresh(authority, String(body["refresh_token"]))).status).toBe(200);
  });

  test("one-time: reuse is refused and revokes everything of that sign-in, and nothing else", async () => {
    const authority = authorityWith({ refreshTokens: "one-time" });
    const { refresh_token: first = "" } = await tokensFor(authority);
    const { refresh_token: other = "" } = await tokensFor(authority);
    const { body } = await refresh(authority, first);
    expect((await refresh(authority, first)).body["error"]).toBe("invalid_grant");
    expect((await refresh(authority, String(body["refresh_token"]))).body["error"]).toBe("invalid_grant");
    expect((await refresh(authority, other)).status).toBe(200);
  });

  test("one-time: a request that is refused for another reason spends nothing", async () => {
    const authority = authorityWith({ refreshTokens: "one-time" });
    const { refresh_token: first = "" } = await tokensFor(authority);
    authority.requireConsent(ADA, NOTES_READ);
    expect((await refresh(authority, first)).body["suberror"]).toBe("consent_required");
    const { status } = await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: first,
      scope: "api://tasks/read",
    });
    expect(status).toBe(200);
  });

  test("one-time: for any order of uses, exactly the newest token of an unbroken chain works", async () => {
    const authority = authorityWith({ refreshTokens: "one-time" });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 8 }), async (picks) => {
        const { refresh_token: first = "" } = await tokensFor(authority);
        const chain = [first];
        let broken = false;
        for (const pick of picks) {
          const index = pick % chain.length;
          const { status, body } = await refresh(authority, chain[index] ?? "");
          const expected = !broken && index === chain.length - 1;
          expect(status).toBe(expected ? 200 : 400);
          if (expected) chain.push(String(body["refresh_token"]));
          else broken = true;
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe("who may use a refresh token, and where", () => {
  test("only the client it was issued to", async () => {
    const authority = authorityWith();
    const { refresh_token: token = "" } = await tokensFor(authority);
    const { body } = await postToken(authority, {
      grant_type: "refresh_token",
      refresh_token: token,
      client_id: "a0000000-0000-4000-8000-00000000000b",
      client_secret: "local-notes-api-secret",
    });
    expect(body["error"]).toBe("invalid_grant");
  });

  test("in the home tenant and where the user is a guest, not elsewhere", async () => {
    const authority = authorityWith();
    const { refresh_token: ada = "" } = await tokensFor(authority, ADA);
    const { refresh_token: ben = "" } = await tokensFor(authority, BEN);
    const guest = await refresh(authority, ada, "fabrikam");
    expect(claimsOf(String(guest.body["access_token"]))["tid"]).toBe(authority.tenants[1]?.tenantId);
    expect((await refresh(authority, ben, "fabrikam")).body["error_codes"]).toEqual([50020]);
    expect((await refresh(authority, ben, "unknown")).body["error_codes"]).toEqual([90002]);
    const { params } = await authority.authorize(authorizeUrl("https://login.local.test"), { user: CLEO });
    expect(params).toMatchObject({ error: "access_denied" });
  });

  test("until it expires", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime, lifetimes: { refreshTokenSeconds: 60 } });
    const { refresh_token: token = "" } = await tokensFor(authority);
    runtime.advance(60_000);
    expect((await refresh(authority, token)).body["error_codes"]).toEqual([700082]);
  });

  test("revokeGrant ends one sign-in and leaves the user's others", async () => {
    const authority = authorityWith();
    const { refresh_token: one = "" } = await tokensFor(authority);
    const { refresh_token: two = "" } = await tokensFor(authority);
    const [grant] = authority.grants({ user: ADA });
    expect(authority.revokeGrant(grant?.id ?? "")).toBe(true);
    expect(authority.revokeGrant(grant?.id ?? "")).toBe(false);
    expect((await refresh(authority, one)).body["error_codes"]).toEqual([50173]);
    expect((await refresh(authority, two)).status).toBe(200);
    expect(authority.grants({ user: ADA }).map((info) => info.revoked)).toEqual([true, false]);
  });

  test("revokeUser ends the user's sign-ins, an unredeemed code included, and nobody else's", async () => {
    const authority = authorityWith();
    const { refresh_token: ada = "" } = await tokensFor(authority, ADA);
    const { refresh_token: ben = "" } = await tokensFor(authority, BEN);
    const { params } = await authority.authorize(authorizeUrl("https://login.local.test"), { user: ADA });
    authority.revokeUser(ADA);
    expect((await refresh(authority, ada)).body["error_codes"]).toEqual([50173]);
    const late = await postToken(authority, {
      grant_type: "authorization_code",
      code: params["code"] ?? "",
      redirect_uri: REDIRECT,
    });
    expect(late.body["error_codes"]).toEqual([50173]);
    expect((await refresh(authority, ben)).status).toBe(200);
  });

  test("expired sign-ins are forgotten", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    await tokensFor(authority);
    runtime.advance(91 * 24 * 3600 * 1000);
    for (let count = 0; count < 256; count += 1) {
      const url = authorizeUrl("https://login.local.test");
      const { params } = await authority.authorize(url, { user: BEN });
      expect(params["code"]).toBeDefined();
    }
    expect(authority.grants({ user: ADA })).toEqual([]);
  });
});
