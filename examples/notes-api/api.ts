/** A downstream API: it trusts an access token after checking it, and nothing else. */
import express from "express";
import type { Express, Request } from "express";
import { createAccessTokenVerifier } from "../../src/testing/index.ts";
import type { Profile } from "./client.ts";

export interface NotesApiOptions {
  /** The tokens' issuer; `{tenantid}` stands for any tenant of the authority. */
  readonly issuer: string;
  /** Where the authority publishes its keys. */
  readonly jwksUrl: string;
}

/** Signature, issuer, audience, expiry and scope of every token are verified. */
export function createNotesApi(options: NotesApiOptions): Express {
  const verify = createAccessTokenVerifier({
    issuer: options.issuer,
    audience: "api://notes",
    requiredScope: "read",
    jwks: options.jwksUrl,
  });
  const callsByUser = new Map<string, Record<string, number>>();

  const api = express().disable("x-powered-by");
  api.get("/profile", async (req, res) => {
    try {
      const claims = await verify(bearerToken(req));
      const calls = callsByUser.get(String(claims["oid"])) ?? {};
      const caller = (req.get("x-caller") ?? "unknown").slice(0, 40);
      calls[caller] = (calls[caller] ?? 0) + 1;
      callsByUser.set(String(claims["oid"]), calls);
      const profile: Profile = {
        name: String(claims["name"]),
        username: String(claims["preferred_username"]),
        tenantId: String(claims["tid"]),
        calls,
      };
      res.set("cache-control", "no-store").json(profile);
    } catch (error) {
      const isOutage = (error as { retryable?: boolean }).retryable === true;
      // RFC 6750 section 3.1; the error's text names the check that failed and never the token.
      if (!isOutage) res.set("www-authenticate", 'Bearer error="invalid_token"');
      res.status(isOutage ? 503 : 401).json({ error: (error as Error).message });
    }
  });
  return api;
}

function bearerToken(req: Request): string {
  return /^Bearer (.+)$/i.exec(req.get("authorization") ?? "")?.[1] ?? "";
}
