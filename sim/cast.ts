/** Who and what takes part in every run: people, applications, APIs. */
import type { AccountRef } from "../src/activity/account-ref.ts";
import type { AuthorityUser } from "../src/testing/authority/options.ts";
import { DEFAULT_CLIENT_IDS, DEFAULT_TENANTS } from "../src/testing/authority/options.ts";

/** Virtual time 0, ms since the epoch. */
export const WORLD_START_MS = 1_800_000_000_000;
export const HOST = "login.local.test";
export const HOME = "contoso";
export const HOME_ID = DEFAULT_TENANTS["contoso"] as string;
export const GUEST_ID = DEFAULT_TENANTS["fabrikam"] as string;
export const WEB_ID = DEFAULT_CLIENT_IDS.web;
export const API_ID = DEFAULT_CLIENT_IDS.notes;
export const REDIRECT_URI = "http://127.0.0.1/redirect";

/** No two share a scope, so that each has its own place in the cache. */
export const RESOURCES: readonly (readonly string[])[] = [
  ["api://notes/read"],
  ["api://tasks/read"],
  ["api://tasks/write"],
  ["User.Read"],
];
/** What a sign-in asks for; the token for it is what the API exchanges. */
export const SIGN_IN_SCOPES = ["api://notes/read"];
export const DOWNSTREAM: readonly (readonly string[])[] = [["api://tasks/read"], ["User.Read"]];
export const APP_SCOPES = ["api://tasks/.default"];
export const STEP_UP = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';

/** Everybody is a guest of the other tenant, so that one account has tokens in two. */
export const PEOPLE: readonly AuthorityUser[] = ["ada", "ben", "cleo"].map((name) => ({
  username: `${name}@contoso.example`,
  name,
  tenant: HOME,
  guestOf: ["fabrikam"],
}));

/** A request's scopes behind their audience, as the ledger has them. */
export function fullScope(scope: string): string {
  return scope.includes("/") ? scope : `https://graph.microsoft.com/${scope}`;
}

/** The account as a session or a queue job has it. */
export function accountOf(user: string, homeAccountId: string): AccountRef {
  return {
    homeAccountId,
    environment: HOST,
    tenantId: HOME_ID,
    localAccountId: homeAccountId.split(".")[0] ?? "",
    username: `${user}@contoso.example`,
  };
}

/**
 * Signs the tokens of the simulated provider. Fixed, because signatures are part of what is stored; far too
 * short for anything real, because signing would take most of the time of a run.
 */
const SIGNING_KEY = [
  "MIIB5QIBADANBgkqhkiG9w0BAQEFAASCAc8wggHLAgEAAmEAsSJPbOVVijOwku4+Q3WfS+8/vp91yChbKFD9uI7EMvEOxAHk3tTK",
  "QLIdfpIj2+yu1nMZ4Tsa10xgH9NIFCYWOVzLctS5bLGVEeepi0vuL/h6raLYDwFO17JQpcFrIkTDAgMBAAECYGHq2YUU8UhIcp+G",
  "W5zm9HwBcXdqpq1SwbFztA3Fved7IfJwKZiUgIlq7Kr/FhuIpeIM4GHY0WHqHvguXRLVBMGcbm7BYeq+695Jzg4FlCxpsoNu77FM",
  "/JU57LOqBn2KIQIxANxJ/+zPxOkOkGjS+o86hCA8BvrhvUnwqhdLH3ORJDzevnmEc5wK+D+UZ9nxm+82/wIxAM3ZYCzUHv3Y9D7r",
  "k0xRafiOzfF2qzX/FVccxvpHl3tToV8oHzJ0q+I2CM9E5dfWPQIxAIi0K2vsK8htT1SdyPvlVmUimzpJqEwgW42FAwmWwqQ7nnyO",
  "o6fsbs4V7LSlaR10RQIxAKQCJdaRy3+FdFUNbPbJhx066msQmakT6/TUQNT4ZYElSNWAKhsRSkGZu7sosdgeIQIwaICLFFYeDAVJ",
  "S4HknG9BjXiEnxu6D4JXWPCVqDXDpvWTR/suMa5eCm4fgLYJeThH",
].join("");

export function signingKeyPem(): string {
  const label = "PRIVATE KEY";
  return `-----BEGIN ${label}-----\n${SIGNING_KEY}\n-----END ${label}-----\n`;
}
