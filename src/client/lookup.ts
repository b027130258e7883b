import type { AccessTokenEntity } from "../blob/entities.ts";
import { environmentAliases } from "../blob/environments.ts";
import { seconds } from "../blob/collisions.ts";
import { findAccessToken, nowSeconds } from "../blob/lookup.ts";
import {
  cachedResult,
  resultIdentity,
  resultToken,
  type ResultIdentity,
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

/** Belongs to one record. */
export interface AnswerMemory {
  memo: unknown;
}

/** Answers from records, and remembers what it decoded for as long as a record lives. */
export interface CacheAnswers {
  /** `marginSeconds`: how long a token must still be valid; default: as long as MSAL wants it to be. */
  find(
    record: TokenRecord,
    level: "L1" | "L2" | "stale",
    search: CacheSearch,
    marginSeconds?: number,
  ): CacheAnswer;
  /**
   * The same of a copy in memory, for whoever asks again and again.
   * @param memory where the last answer from that very record is remembered
   * @param nowMs the present, just read
   */
  findAgain(
    record: TokenRecord,
    search: CacheSearch,
    memory: AnswerMemory | undefined,
    nowMs: number,
  ): CacheAnswer;
}

export function createCacheAnswers(runtime: Runtime): CacheAnswers {
  const prepared = new WeakMap<TokenRecord, PreparedAnswers>();

  /** Which token answers does not depend on the time, so it is searched for once; whether it still does, does. */
  function prepare(record: TokenRecord, token: AccessTokenEntity, search: CacheSearch): Prepared | undefined {
    const before = prepared.get(record)?.all ?? [];
    const kept = before.length < MAX_PREPARED ? before.filter((other) => !isSame(other, search)) : [];
    const owner = ownerOf(token, search);
    const identity =
      kept.find((other) => isSameOwner(other.owner, owner))?.identity ??
      resultIdentity(record.blob, search.clientId, owner);
    if (!identity) return undefined;
    // MSAL looks at it neither for on-behalf-of nor where the request names a resource.
    const isRenewed = token.refresh_on && !search.resource && !search.userAssertionHash;
    const refreshOn = isRenewed ? seconds(token.refresh_on as string) : undefined;
    const answer: Prepared = {
      ...wantedBy(search),
      ...resultToken(identity, token, scopesOf(token)),
      identity,
      owner,
      usableFrom: seconds(token.cached_at),
      usableUntil: seconds(token.expires_on),
      renewFrom: refreshOn,
      dueSaidAt: refreshOn,
    };
    prepared.set(record, { all: [...kept, answer], last: answer, byName: undefined });
    return answer;
  }

  /** What was asked last is mostly what is asked again: comparing is cheaper than making a name. */
  function preparedFor(record: TokenRecord, search: CacheSearch): Prepared | undefined {
    const answers = prepared.get(record);
    if (!answers) return undefined;
    if (isSame(answers.last, search)) return answers.last;
    if (answers.all.length === 1) return undefined;
    answers.byName ??= new Map(answers.all.map((answer) => [nameOf(answer.wantedScopes, answer), answer]));
    const found = answers.byName.get(nameOf(search.scopes, search));
    if (!found || !isSame(found, search)) return undefined;
    answers.last = found;
    return found;
  }

  function answerOf(
    known: Prepared,
    level: "L1" | "L2" | "stale",
    search: CacheSearch,
    nowMs: number,
  ): CacheAnswer {
    const now = nowSeconds(nowMs);
    const { renewFrom, dueSaidAt } = known;
    const result = cachedResult(known, {
      authority: search.authority,
      correlationId: search.correlationId ?? runtime.uuid(),
      nowMs,
      metadata: cachedMetadata(level, renewFrom !== undefined && now > renewFrom),
    });
    const due = dueSaidAt !== undefined && now > dueSaidAt;
    if (due) known.dueSaidAt = now;
    return { result, due };
  }

  function search(
    record: TokenRecord,
    level: "L1" | "L2" | "stale",
    wanted: CacheSearch,
    { marginSeconds, nowMs }: { readonly marginSeconds: number; readonly nowMs: number },
  ): CacheAnswer {
    const found = findAccessToken(record.blob, {
      ...wanted,
      environments: environmentAliases(wanted.environment),
      nowSeconds: nowSeconds(nowMs),
      renewalOffsetSeconds: marginSeconds,
    });
    if (!found.found) {
      if (found.reason !== "expired") return NO_TOKEN;
      // Everybody who comes while it is renewed will ask for it too.
      if (found.expired) prepare(record, found.expired, wanted);
      return EXPIRED;
    }
    const answer = prepare(record, found.token, wanted);
    return answer ? answerOf(answer, level, wanted, nowMs) : NO_TOKEN;
  }

  return {
    find(record, level, wanted, marginSeconds = RENEWAL_OFFSET_SECONDS) {
      const nowMs = runtime.now();
      const known = preparedFor(record, wanted);
      if (!known) return search(record, level, wanted, { marginSeconds, nowMs });
      return isLive(known, nowMs, marginSeconds) ? answerOf(known, level, wanted, nowMs) : EXPIRED;
    },
    findAgain(record, wanted, memory, nowMs) {
      let known = memory?.memo as Prepared | undefined;
      if (!known || !isSame(known, wanted)) {
        known = preparedFor(record, wanted);
        if (!known) return search(record, "L1", wanted, { marginSeconds: RENEWAL_OFFSET_SECONDS, nowMs });
        if (memory) memory.memo = known;
      }
      return isLive(known, nowMs, RENEWAL_OFFSET_SECONDS) ? answerOf(known, "L1", wanted, nowMs) : EXPIRED;
    },
  };
}

/**
 * An answer that was found once in a record, and what decides whether it still is one. Times in whole seconds, and
 * everything in one object: see {@link Slot}.
 */
interface Prepared extends ResultToken, Wanted {
  readonly identity: ResultIdentity;
  readonly owner: ResultOwner | undefined;
  readonly usableFrom: number;
  readonly usableUntil: number;
  readonly renewFrom: number | undefined;
  dueSaidAt: number | undefined;
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
type Question = Pick<
  CacheSearch,
  "homeAccountId" | "environment" | "realm" | "resource" | "userAssertionHash"
>;

interface Wanted extends Question {
  /** If there is only one. */
  readonly wantedScope: string | undefined;
  readonly wantedScopes: readonly string[];
}

function wantedBy(search: CacheSearch): Wanted {
  const { homeAccountId, environment, realm, scopes, resource, userAssertionHash } = search;
  return {
    homeAccountId,
    environment,
    realm,
    resource,
    userAssertionHash,
    wantedScope: scopes.length === 1 ? scopes[0] : undefined,
    wantedScopes: [...scopes],
  } as Wanted;
}

function scopesOf(token: AccessTokenEntity): readonly string[] {
  return Object.freeze([...new Set(token.target.split(" ").filter((scope) => scope !== ""))]);
}

/** Different ways to ask of one record that are remembered. */
const MAX_PREPARED = 64;

/** The times that `findAccessToken` judges by. */
function isLive({ usableFrom, usableUntil }: Prepared, nowMs: number, marginSeconds: number): boolean {
  const now = nowSeconds(nowMs);
  return usableFrom <= now && now + marginSeconds <= usableUntil;
}

/** All of that as text. Odd scopes can give two questions one name: {@link isSame} judges what is found by it. */
function nameOf(
  scopes: readonly string[],
  { homeAccountId, environment, realm, resource, userAssertionHash }: Question,
): string {
  const wanted = scopes.length === 1 ? scopes[0] : `${scopes.length}\n${scopes.join("\n")}`;
  return `${homeAccountId ?? `\t${userAssertionHash}`}\n${environment}\n${realm}\n${resource ?? ""}\n${wanted}`;
}

/** Whether a search of the same client finds what was found before, by what {@link nameOf} names. */
function isSame(known: Wanted, search: CacheSearch): boolean {
  const { scopes } = search;
  return (
    known.homeAccountId === search.homeAccountId &&
    known.environment === search.environment &&
    known.realm === search.realm &&
    known.resource === search.resource &&
    known.userAssertionHash === search.userAssertionHash &&
    (scopes.length === 1 ? known.wantedScope === scopes[0] : hasSameTexts(known.wantedScopes, scopes))
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
