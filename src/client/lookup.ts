import type { AccessTokenEntity } from "../blob/entities.ts";
import { environmentAliases } from "../blob/environments.ts";
import { seconds } from "../blob/collisions.ts";
import { findAccessToken, nowSeconds } from "../blob/lookup.ts";
import {
  cachedResult,
  resultIdentity,
  resultToken,
  type ResultOwner,
  type ResultToken,
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
  readonly resource?: string | undefined;
  /** What the result says. */
  readonly authority: string;
  readonly correlationId: string | undefined;
}

export type CacheAnswer =
  | {
      readonly result: TokenResult;
      /** The token is past its refresh-on; said about once a second, because more would be of no use. */
      readonly due: boolean;
    }
  | { readonly result: undefined; readonly reason: CacheRefreshReason };

const EXPIRED: CacheAnswer = Object.freeze({ result: undefined, reason: "expired" });
const NO_TOKEN: CacheAnswer = Object.freeze({ result: undefined, reason: "no-cached-access-token" });

/** Answers from records, and remembers what it decoded for as long as a record lives. */
export interface CacheAnswers {
  /**
   * `marginSeconds`: how long a token must still be valid; default: as long as MSAL wants it to be. `nowMs`: the
   * present, if it has just been read.
   */
  find(
    record: TokenRecord,
    level: "L1" | "L2" | "stale",
    search: CacheSearch,
    marginSeconds?: number,
    nowMs?: number,
  ): CacheAnswer;
}

export function createCacheAnswers(runtime: Runtime): CacheAnswers {
  const prepared = new WeakMap<TokenRecord, PreparedAnswers>();

  /** Which token answers does not depend on the time, so it is searched for once; whether it still does, does. */
  function prepare(record: TokenRecord, token: AccessTokenEntity, search: CacheSearch): Prepared | undefined {
    const before = prepared.get(record)?.all ?? [];
    const kept = before.length < MAX_PREPARED ? before.filter(({ wanted }) => !isSame(wanted, search)) : [];
    const owner = ownerOf(token, search);
    const identity =
      kept.find((other) => isSameOwner(other.owner, owner))?.result.identity ??
      resultIdentity(record.blob, search.clientId, owner);
    if (!identity) return undefined;
    // MSAL looks at it neither for on-behalf-of nor where the request names a resource.
    const isRenewed = token.refresh_on && !search.resource && !search.userAssertionHash;
    const refreshOn = isRenewed ? seconds(token.refresh_on as string) : Infinity;
    const answer: Prepared = {
      wanted: wantedBy(search),
      owner,
      result: resultToken(identity, token, scopesOf(token)),
      cachedAt: seconds(token.cached_at),
      expiresOn: seconds(token.expires_on),
      refreshOn,
      dueSaidAt: refreshOn,
    };
    prepared.set(record, { all: [...kept, answer], last: answer, byName: undefined });
    return answer;
  }

  /** What was asked last is mostly what is asked again: comparing is cheaper than making a name. */
  function preparedFor(record: TokenRecord, search: CacheSearch): Prepared | undefined {
    const answers = prepared.get(record);
    if (!answers) return undefined;
    if (isSame(answers.last.wanted, search)) return answers.last;
    if (answers.all.length === 1) return undefined;
    answers.byName ??= new Map(answers.all.map((answer) => [nameOf(answer.wanted), answer]));
    const found = answers.byName.get(nameOf(search));
    if (found) answers.last = found;
    return found;
  }

  function answerOf(
    known: Prepared,
    level: "L1" | "L2" | "stale",
    search: CacheSearch,
    nowMs: number,
  ): CacheAnswer {
    const now = nowSeconds(nowMs);
    const result = cachedResult(known.result, {
      authority: search.authority,
      correlationId: search.correlationId ?? runtime.uuid(),
      nowMs,
      metadata: cachedMetadata(level, now > known.refreshOn),
    });
    const due = now > known.dueSaidAt;
    if (due) known.dueSaidAt = now;
    return { result, due };
  }

  return {
    find(record, level, search, marginSeconds = RENEWAL_OFFSET_SECONDS, nowMs = runtime.now()) {
      const now = nowSeconds(nowMs);
      const known = preparedFor(record, search);
      if (known) return isLive(known, now, marginSeconds) ? answerOf(known, level, search, nowMs) : EXPIRED;
      const found = findAccessToken(record.blob, {
        ...search,
        environments: environmentAliases(search.environment),
        nowSeconds: now,
        renewalOffsetSeconds: marginSeconds,
      });
      if (!found.found) {
        if (found.reason !== "expired") return NO_TOKEN;
        // Everybody who comes while it is renewed will ask for it too.
        if (found.expired) prepare(record, found.expired, search);
        return EXPIRED;
      }
      const answer = prepare(record, found.token, search);
      return answer ? answerOf(answer, level, search, nowMs) : NO_TOKEN;
    },
  };
}

/** An answer that was found once in a record, and what decides whether it still is one. Times in seconds. */
interface Prepared {
  readonly wanted: Wanted;
  readonly owner: ResultOwner | undefined;
  readonly result: ResultToken;
  readonly cachedAt: number;
  readonly expiresOn: number;
  readonly refreshOn: number;
  dueSaidAt: number;
}

/** What one record has been asked for. Mostly one thing, and of many records: nothing here is made before it is needed. */
interface PreparedAnswers {
  /** Each for something else. */
  readonly all: readonly Prepared[];
  last: Prepared;
  /** Made once there is a choice. */
  byName: Map<string, Prepared> | undefined;
}

/** Everything in a search that decides which token is found. */
type Wanted = Pick<
  CacheSearch,
  "homeAccountId" | "environment" | "realm" | "scopes" | "resource" | "userAssertionHash"
>;

function wantedBy(search: CacheSearch): Wanted {
  const { homeAccountId, environment, realm, scopes, resource, userAssertionHash } = search;
  return {
    environment,
    realm,
    scopes: [...scopes],
    ...(homeAccountId !== undefined && { homeAccountId }),
    ...(resource !== undefined && { resource }),
    ...(userAssertionHash !== undefined && { userAssertionHash }),
  };
}

function scopesOf(token: AccessTokenEntity): readonly string[] {
  return Object.freeze([...new Set(token.target.split(" ").filter((scope) => scope !== ""))]);
}

/** Different ways to ask of one record that are remembered. */
const MAX_PREPARED = 64;

/** The times that `findAccessToken` judges by. */
function isLive({ cachedAt, expiresOn }: Prepared, now: number, marginSeconds: number): boolean {
  return cachedAt <= now && now + marginSeconds <= expiresOn;
}

/** All of that as text. The count keeps one odd scope apart from two. */
function nameOf({ homeAccountId, environment, realm, scopes, resource, userAssertionHash }: Wanted): string {
  const wanted = scopes.length === 1 ? scopes[0] : `${scopes.length}\n${scopes.join("\n")}`;
  return `${homeAccountId ?? `\t${userAssertionHash}`}\n${environment}\n${realm}\n${resource ?? ""}\n${wanted}`;
}

/** Whether two searches of one client find the same, by what {@link nameOf} names. */
function isSame(a: Wanted, b: Wanted): boolean {
  return (
    a.homeAccountId === b.homeAccountId &&
    a.environment === b.environment &&
    a.realm === b.realm &&
    a.resource === b.resource &&
    a.userAssertionHash === b.userAssertionHash &&
    hasSameTexts(a.scopes, b.scopes)
  );
}

function isSameOwner(a: ResultOwner | undefined, b: ResultOwner | undefined): boolean {
  return a?.realm === b?.realm && a?.environment === b?.environment && a?.homeAccountId === b?.homeAccountId;
}

function hasSameTexts(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
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
