import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenkeepError } from "../../../src/errors.ts";
import {
  createAccessTokenVerifier,
  type AccessTokenVerifierOptions,
  type LocalAuthority,
} from "../../../src/testing/authority/index.ts";
import { createSigningKey, signJwt } from "../../../src/testing/authority/jwt.ts";
import { ADA, authorityWith, claimsOf, listening, manualRuntime, tokensFor } from "./support.ts";

const verifierFor = (authority: LocalAuthority, options: Partial<AccessTokenVerifierOptions> = {}) =>
  createAccessTokenVerifier({
    issuer: authority.issuer("contoso"),
    audience: "api://notes",
    requiredScope: "read",
    jwks: () => authority.jwks(),
    ...options,
  });

async function refusal(work: Promise<unknown>): Promise<TokenkeepError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TokenkeepError)) throw new Error("no TokenkeepError was thrown");
  expect(error.code).toBe("ERR_TOKEN_INVALID");
  return error;
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

test("a good token gives its claims, with keys fetched over HTTP once", () =>
  listening({}, async (authority, origin) => {
    const { access_token: token = "" } = await tokensFor(authority);
    const verify = verifierFor(authority, { jwks: `${origin}/contoso/discovery/v2.0/keys` });
    const [claims] = await Promise.all([verify(token), verify(token), verify(token)]);
    expect(claims["preferred_username"]).toBe(ADA);
    await verify(token);
    expect(authority.count({ grant: "keys" })).toBe(1);
  }));

describe("a token is refused by name of the check, and never shown", () => {
  const cases: [string, string, (token: string, key: ReturnType<typeof createSigningKey>) => string][] = [
    ["no token at all", "form", () => "nonsense"],
    ["four parts", "form", (token) => `${token}.x`],
    ["alg none", "algorithm", (token) => `${base64url({ alg: "none" })}.${token.split(".")[1]}.`],
    [
      "HS256 with the public key as secret",
      "algorithm",
      (token, key) => {
        const input = `${base64url({ alg: "HS256", kid: key.kid })}.${token.split(".")[1]}`;
        const secret = key.publicKey.export({ type: "spki", format: "pem" });
        return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
      },
    ],
    [
      "a critical extension",
      "algorithm",
      (token, key) =>
        `${base64url({ alg: "RS256", kid: key.kid, crit: ["x"] })}.${token.split(".").slice(1).join(".")}`,
    ],
    ["another key", "key", (token) => signJwt(createSigningKey(), claimsOf(token))],
    [
      "claims tampered with",
      "signature",
      (token) => {
        const [header, , signature] = token.split(".");
        return `${header}.${base64url({ ...claimsOf(token), scp: "read write" })}.${signature}`;
      },
    ],
    [
      "another issuer",
      "issuer",
      (token, key) => signJwt(key, { ...claimsOf(token), iss: "https://elsewhere.test" }),
    ],
    [
      "another audience",
      "audience",
      (token, key) => signJwt(key, { ...claimsOf(token), aud: "api://tasks" }),
    ],
    ["no expiry", "expired", (token, key) => signJwt(key, { ...claimsOf(token), exp: undefined })],
    [
      "a start in the future",
      "not yet valid",
      (token, key) => signJwt(key, { ...claimsOf(token), nbf: 9e9 }),
    ],
    ["another scope", "scope", (token, key) => signJwt(key, { ...claimsOf(token), scp: "reader read_all" })],
    ["no scope", "scope", (token, key) => signJwt(key, { ...claimsOf(token), scp: undefined })],
  ];

  test.each(cases)("%s: %s", async (_name, check, forge) => {
    const key = createSigningKey();
    const pem = key.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const authority = authorityWith({ signingKeyPem: pem });
    const { access_token: token = "" } = await tokensFor(authority);
    const forged = forge(token, key);
    const error = await refusal(verifierFor(authority)(forged));
    expect(error.message).toBe(`access token refused: ${check}`);
    expect(`${error.message}${error.stack}${String(error.cause)}`).not.toContain(forged);
  });

  test("an expired one, to the second, and with tolerance later", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    const { access_token: token = "" } = await tokensFor(authority);
    const verify = verifierFor(authority, { runtime });
    const tolerant = verifierFor(authority, { runtime, clockToleranceSeconds: 60 });
    runtime.advance(3_599_999);
    await verify(token);
    runtime.advance(1);
    expect((await refusal(verify(token))).message).toContain("expired");
    await tolerant(token);
    runtime.advance(60_000);
    await refusal(tolerant(token));
  });

  test("any single changed character", async () => {
    const authority = authorityWith();
    const { access_token: token = "" } = await tokensFor(authority);
    const verify = verifierFor(authority);
    await verify(token);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(token.length - 1),
        fc.constantFrom("A", "Z", "a", "z", "0", "9", "-", "_", "."),
        async (at, character) => {
          fc.pre(token[at] !== character);
          await refusal(verify(token.slice(0, at) + character + token.slice(at + 1)));
        },
      ),
    );
    // The last character has four bits that a lenient decoder ignores: another spelling of the same bytes.
    const last = String.fromCharCode(token.charCodeAt(token.length - 1) + 1);
    await refusal(verify(token.slice(0, -1) + last));
  });

  test("any text", async () => {
    const verify = verifierFor(authorityWith());
    await fc.assert(fc.asyncProperty(fc.string(), async (text) => void (await refusal(verify(text)))));
  });
});

describe("keys", () => {
  test("an unknown key id asks for the keys again, but not within the cooldown", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime });
    let fetches = 0;
    const verify = verifierFor(authority, {
      runtime,
      jwks: () => {
        fetches += 1;
        return authority.jwks();
      },
    });
    const { access_token: old = "" } = await tokensFor(authority);
    await verify(old);
    authority.rotateSigningKey();
    const { access_token: token = "" } = await tokensFor(authority);
    expect((await refusal(verify(token))).message).toContain("key");
    expect(fetches).toBe(1);
    runtime.advance(10_000);
    await verify(token);
    await verify(old);
    expect(fetches).toBe(2);
  });

  test("keys that cannot be fetched are retryable and are fetched the next time", async () => {
    const authority = authorityWith();
    let down = true;
    const verify = verifierFor(authority, {
      jwks: () => {
        if (down) throw new Error("no route");
        return authority.jwks();
      },
    });
    const { access_token: token = "" } = await tokensFor(authority);
    expect((await refusal(verify(token))).retryable).toBe(true);
    down = false;
    await verify(token);
  });

  test("keys are fetched again after their age", async () => {
    const runtime = manualRuntime();
    const authority = authorityWith({ runtime, lifetimes: { accessTokenSeconds: 100_000 } });
    let jwks = authority.jwks();
    const verify = verifierFor(authority, { runtime, jwks: () => jwks, jwksMaxAgeMs: 50_000 });
    const { access_token: token = "" } = await tokensFor(authority);
    await verify(token);
    jwks = { keys: [] };
    runtime.advance(49_999);
    await verify(token);
    runtime.advance(1);
    expect((await refusal(verify(token))).message).toContain("key");
  });
});

test("an issuer with {tenantid} accepts the authority's tenants and nobody else's", async () => {
  const key = createSigningKey();
  const pem = key.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const authority = authorityWith({ signingKeyPem: pem });
  const { access_token: token = "" } = await tokensFor(authority);
  const verify = verifierFor(authority, { issuer: "https://login.local.test/{tenantid}/v2.0" });
  await verify(token);
  const forged = signJwt(key, { ...claimsOf(token), tid: "other" });
  expect((await refusal(verify(forged))).message).toContain("issuer");
});

test("missing options are refused by name", () => {
  expect(() => createAccessTokenVerifier({ issuer: "", audience: "a", jwks: "b" })).toThrow(/`issuer`/);
});
