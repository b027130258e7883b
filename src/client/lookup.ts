import type { AccessTokenEntity } from "../blob/entities.ts";
import { environmentAliases } from "../blob/environments.ts";
import { findAccessToken, nowSeconds } from "../blob/lookup.ts";
import {
  cachedResult,
  resultIdentity,
  type ResultIdentity,
  type ResultOwner,
} from "../msal/cached-result.ts";
import type { TokenRecord } from "../partitions/record.ts";
import type { Runtime } from "../runtime.ts";
import { cachedMetadata, type CacheRefreshReason, type TokenResult } from "./result.ts";

/** MSAL counts a token as expired this long before it is (`DEFAULT_TOKEN_RENEWAL_OFFSET_SEC`). */
const RENEWAL_OFFSET_SECONDS = 300;

/** A search in one record, without anything that MSAL would go to the network for. */
export interface CacheSearch {
  readonly clientId: string;
  readonly environment: string;
  readonly realm: string;
  readonly scopes: readonly string[];
  /** "" for the application's own tokens; absent for on-behalf-of. */
  readonly homeAccountId?: string;
  readonly userAssertionHash?: string;
  readonly resource?: string;
  /** What the result says. */
  readonly authority: string;
  readonly correlationId: string | undefined;
}

export type CacheAnswer =
  { readonly result: TokenResult } | { readonly result: undefined; readonly reason: CacheRefreshReason };

/** Answers from records, and remembers what it decoded for as long as a record lives. */
export interface CacheAnswers {
  /** `marginSeconds`: how long a token must still be valid; default: as long as MSAL wants it to be. */
  find(
    record: TokenRecord,
    level: "L1" | "L2" | "stale",
    search: CacheSearch,
    marginSeconds?: number,
  ): CacheAnswer;
}

export function createCacheAnswers(runtime: Runtime): CacheAnswers {
  const identities = new WeakMap<TokenRecord, Map<string, ResultIdentity>>();
  const scopeLists = new WeakMap<AccessTokenEntity, readonly string[]>();

  function identityOf(record: TokenRecord, clientId: string, owner: ResultOwner | undefined): ResultIdentity {
    const known = identities.get(record) ?? new Map<string, ResultIdentity>();
    const name = owner ? `${owner.realm} ${owner.environment} ${owner.homeAccountId}` : "";
    let identity = known.get(name);
    if (!identity) {
      identity = resultIdentity(record.blob, clientId, owner);
      identities.set(record, known.set(name, identity));
    }
    return identity;
  }

  function scopesOf(token: AccessTokenEntity): readonly string[] {
    let scopes = scopeLists.get(token);
    if (!scopes) {
      scopes = Object.freeze([...new Set(token.target.split(" ").filter((scope) => scope !== ""))]);
      scopeLists.set(token, scopes);
    }
    return scopes;
  }

  return {
    find(record, level, search, marginSeconds = RENEWAL_OFFSET_SECONDS) {
      const found = findAccessToken(record.blob, {
        ...search,
        environments: environmentAliases(search.environment),
        nowSeconds: nowSeconds(runtime.now()),
        renewalOffsetSeconds: marginSeconds,
      });
      if (!found.found) {
        const reason = found.reason === "expired" ? "expired" : "no-cached-access-token";
        return { result: undefined, reason };
      }
      if (found.pastRefreshOn) return { result: undefined, reason: "proactively-refreshed" };
      const owner = ownerOf(found.token, search);
      const identity = identityOf(record, search.clientId, owner);
      const correlationId = search.correlationId ?? runtime.uuid();
      const result = cachedResult(identity, found.token, scopesOf(found.token), {
        authority: search.authority,
        correlationId,
      });
      return { result: Object.assign(result, { metadata: cachedMetadata(level) }) };
    },
  };
}

/** Whose token it is; on-behalf-of searches by the assertion, and learns the user from the token's entry. */
function ownerOf(token: AccessTokenEntity, search: CacheSearch): ResultOwner | undefined {
  if (token.home_account_id === "") return undefined;
  return {
    homeAccountId: token.home_account_id,
    environment: token.environment,
    realm: search.realm === "" ? token.realm : search.realm,
  };
}
