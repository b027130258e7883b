/** One case after the other: put to both, compared, and counted. */
import { isDeepStrictEqual } from "node:util";
import type { AuthenticationResult } from "@azure/msal-node";
import { vi } from "vitest";
import { serializeBlob } from "../../../src/blob/entities.ts";
import type { TokenResult } from "../../../src/client/result.ts";
import { NOW } from "../../blob/fixtures.ts";
import { comparable, differences, missReason, tokenOf, type Difference, type MissReason } from "./compare.ts";
import type { Ask, Case } from "./draw.ts";
import { asHeld, asMeant, askMsal, openUs, type OurAnswer } from "./sides.ts";

type Outcome =
  | `answered from ${"memory" | "the store"}`
  | "no token, by either"
  | `miss: ${MissReason}`
  | `difference: ${Difference}`
  | "MSAL answered from another tenant than the authority's";

export type Tally = Map<Outcome, number>;

/** Lies about one thing, to see that it is found. */
export interface Lies {
  readonly request?: ((ask: Ask) => Ask) | undefined;
  readonly result?: ((result: TokenResult) => TokenResult) | undefined;
}

/** @throws if tokenkeep answered what MSAL would not have answered, or missed without a listed reason */
export async function judgeCase(drawn: Case, tally: Tally, lies: Lies = {}): Promise<void> {
  vi.setSystemTime(NOW * 1000);
  const us = await openUs(drawn);
  const times: number[] = [];
  let elapsed = 0;
  for (const ask of drawn.asks) {
    elapsed += ask.afterSeconds;
    times.unshift(elapsed);
    vi.setSystemTime((NOW + elapsed) * 1000);
    const ours = await us.ask(lies.request ? lies.request(ask) : ask);
    const told = ours.result && lies.result ? { ...ours, result: lies.result(ours.result) } : ours;
    await judgeByReading({ drawn, ask, elapsed }, times, told, (outcome) => {
      tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
    });
  }
  await us.close();
}

/**
 * A token from the future counts from when it was read, and which of two in each other's way is kept depends on
 * that. What is in memory was read at one of the earlier questions.
 */
async function judgeByReading(
  asked: Omit<Asked, "readAt">,
  times: readonly number[],
  ours: OurAnswer,
  count: Count,
): Promise<void> {
  const failures: unknown[] = [];
  for (const readAt of times) {
    try {
      return await judge({ ...asked, readAt }, ours, count);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

interface Asked {
  readonly drawn: Case;
  readonly ask: Ask;
  /** Seconds from the beginning to the question, and to the reading of what answers it. */
  readonly elapsed: number;
  readonly readAt: number;
}

type Count = (outcome: Outcome) => void;

async function judge(asked: Asked, ours: OurAnswer, count: Count): Promise<void> {
  const { drawn, ask, readAt } = asked;
  const held = asHeld(drawn.blob, readAt);
  const meant = asMeant(ask, drawn.authority);
  const theirs = await askMsal(serializeBlob(held), drawn.authority, meant);
  if (!theirs.result) return judgeWithoutTheirs(asked, ours, count);
  if (ours.result && !isDeepStrictEqual(comparable(ours.result, ask), comparable(theirs.result, ask))) {
    fail("the results differ", { ours: ours.result, theirs: theirs.result });
  }
  if (ours.result && !ours.entered) {
    count(`answered from ${ours.result.metadata.cacheLevel === "L1" ? "memory" : "the store"}`);
    return judgeDifferences(asked, meant, ours.result, count);
  }
  const reason = missReason(ask, tokenOf(held, theirs.result), drawn.authority);
  if (!reason) fail("missed for no listed reason", { theirs: theirs.result, ask });
  // A miss costs time, and not the token.
  if (!ours.result) fail("missed, and then failed", { error: String(ours.error), reason });
  count(`miss: ${reason}`);
}

/** MSAL has nothing: then nor have we, but for a token in its last minutes that nobody renews just now. */
function judgeWithoutTheirs({ drawn, elapsed }: Asked, ours: OurAnswer, count: Count): void {
  if (!ours.result) return count("no token, by either");
  const token = tokenOf(drawn.blob, ours.result);
  const leftSeconds = Number(token?.expires_on) - (NOW + elapsed);
  const isLastMinutes = ours.result.metadata.nearExpiry && leftSeconds >= 0 && leftSeconds < 300;
  if (!isLastMinutes) fail("answered what MSAL would not have answered", { ours: ours.result });
  count("difference: last-minutes");
}

/** What MSAL says to the cache and the question exactly as they were drawn. */
async function judgeDifferences(asked: Asked, meant: Ask, ours: TokenResult, count: Count): Promise<void> {
  const { drawn, ask, readAt } = asked;
  const kinds = differences(drawn.blob, asHeld(drawn.blob, readAt), ask, meant);
  const { result } = await askMsal(serializeBlob(drawn.blob), drawn.authority, ask);
  if (result && isDeepStrictEqual(comparable(ours, ask), comparable(result, ask))) return;
  if (kinds.length === 0) fail("differs for no listed reason", { ours, theirs: result });
  for (const kind of kinds) count(`difference: ${kind}`);
  if (result && kinds.includes("tenant-by-authority")) judgeTenant(asked, ours, result, count);
}

/** Where the two name different tenants' tokens, ours is the one that the authority names. */
function judgeTenant(
  { drawn, ask }: Asked,
  ours: TokenResult,
  theirs: AuthenticationResult,
  count: Count,
): void {
  const [our, their] = [ours, theirs].map((result) => tokenOf(drawn.blob, result)?.realm.toLowerCase());
  if (our === their) return;
  const asked = new URL(ask.request.authority ?? "").pathname.split("/")[1]?.toLowerCase();
  if (our !== asked) fail("answered from another tenant than the authority's", { ours, theirs });
  count("MSAL answered from another tenant than the authority's");
}

function fail(what: string, details: object): never {
  throw new Error(
    `${what}: ${JSON.stringify(details, (_, value) => (value instanceof Map ? [...value] : value) as unknown, 2)}`,
  );
}
