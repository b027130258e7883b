/** What must be alike, what may differ, and why tokenkeep may ask MSAL where MSAL has the answer in its cache. */
import type { AuthenticationResult } from "@azure/msal-node";
import { canonicalEnvironment } from "../../../src/blob/environments.ts";
import type { AccessTokenEntity, CacheBlob } from "../../../src/blob/entities.ts";
import type { SilentRequest } from "../../../src/client/confidential-client.ts";
import { NOW } from "../../blob/fixtures.ts";
import type { Ask, Case } from "./draw.ts";

/** The reasons for a miss, as docs/fast-path.md lists them. */
export const MISS_REASONS = [
  "attribute-tokens",
  "application-request",
  "not-bearer",
  "another-cloud",
  "no-tenant",
] as const;
export type MissReason = (typeof MISS_REASONS)[number];

/** The differences on purpose, as docs/fast-path.md lists them. */
export const DIFFERENCES = [
  "tenant-by-authority",
  "spelling",
  "collision",
  "future",
  "last-minutes",
] as const;
export type Difference = (typeof DIFFERENCES)[number];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Every field of a result as plain values, but `metadata`, which MSAL has not. A correlation id that nobody
 * asked for is a random one. A field that MSAL sets to `undefined` and one that is not there are alike.
 */
export function comparable(result: AuthenticationResult, { request }: Ask): unknown {
  const {
    metadata: _metadata,
    account,
    correlationId,
    ...fields
  } = result as AuthenticationResult & { metadata?: unknown };
  const tenantProfiles = account?.tenantProfiles && [...account.tenantProfiles];
  return JSON.parse(
    JSON.stringify({
      ...fields,
      correlationId: !request.correlationId && UUID.test(correlationId) ? "random" : correlationId,
      account: account && { ...account, tenantProfiles },
    }),
  );
}

export function tokenOf(blob: CacheBlob, result: AuthenticationResult): AccessTokenEntity | undefined {
  return Object.values(blob.AccessToken).find(({ secret }) => secret === result.accessToken);
}

/** Fields that change nothing about which of an application's tokens answers. */
const PLAIN = ["scopes", "authority", "correlationId", "azureCloudOptions", "skipCache", "claims"];

/** Why tokenkeep did not answer this one by itself; undefined if no listed reason explains it. */
export function missReason(
  { flow, request }: Ask,
  token: AccessTokenEntity | undefined,
  client: Case["authority"],
): MissReason | undefined {
  if (!token) return undefined;
  if (!isBearer(token)) return "not-bearer";
  if (flow === "app" && Object.keys(request).some((field) => !PLAIN.includes(field))) {
    return "application-request";
  }
  if (flow === "app") return undefined;
  const asked = new URL(request.authority ?? client);
  if (request.attributeTokens?.length) return "attribute-tokens";
  if (canonicalEnvironment(asked.host) !== token.environment) return "another-cloud";
  if (!request.account.tenantId && /^\/(common|organizations)\/?$/.test(asked.pathname)) return "no-tenant";
  return undefined;
}

function isBearer({ token_type }: AccessTokenEntity): boolean {
  return token_type === undefined || token_type.toLowerCase() === "bearer";
}

/** Why MSAL may answer otherwise to a cache and a question as drawn than to what tokenkeep makes of them. */
export function differences(stored: CacheBlob, held: CacheBlob, ask: Ask, meant: Ask): Difference[] {
  const [asked, taken] = [accountOf(ask), accountOf(meant)];
  const isFuture = ({ cached_at }: AccessTokenEntity): boolean => Number(cached_at) > NOW;
  const all: Record<Exclude<Difference, "last-minutes">, boolean> = {
    "tenant-by-authority": asked?.tenantId.toLowerCase() !== taken?.tenantId.toLowerCase(),
    spelling:
      asked?.homeAccountId !== taken?.homeAccountId ||
      asked?.environment !== taken?.environment ||
      hasOtherKeys(stored, held),
    collision: Object.keys(held.AccessToken).length < Object.keys(stored.AccessToken).length,
    future: Object.values(stored.AccessToken).some(isFuture),
  };
  return DIFFERENCES.filter((kind) => kind !== "last-minutes" && all[kind]);
}

function accountOf(ask: Ask): SilentRequest["account"] | undefined {
  return ask.flow === "silent" ? ask.request.account : undefined;
}

/** Entries that were stored under another name for their cloud, or under a key that is not MSAL's. */
function hasOtherKeys(stored: CacheBlob, held: CacheBlob): boolean {
  const isMissing = (section: "Account" | "IdToken" | "AccessToken", there: CacheBlob, here: CacheBlob) =>
    Object.keys(there[section]).some((key) => !Object.hasOwn(here[section], key));
  return (
    isMissing("Account", stored, held) ||
    isMissing("IdToken", stored, held) ||
    isMissing("AccessToken", held, stored)
  );
}
