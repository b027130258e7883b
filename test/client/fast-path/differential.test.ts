import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type * as Lookup from "../../../src/blob/lookup.ts";
import type { AccessTokenEntity, CacheBlob } from "../../../src/blob/entities.ts";
import type * as Answers from "../../../src/client/lookup.ts";
import type { Runtime } from "../../../src/runtime.ts";
import { DIFFERENCES, MISS_REASONS } from "./compare.ts";
import { arbitraryCase, type Ask } from "./draw.ts";
import { judgeCase, type Lies, type Tally } from "./judge.ts";

/** A mistake, put in place of a part of the fast path, or between it and its caller. */
interface Mistake extends Lies {
  readonly findAccessToken?: typeof Lookup.findAccessToken;
  readonly findIdToken?: typeof Lookup.findIdToken;
  readonly runtime?: (runtime: Runtime) => Runtime;
  readonly answers?: (answers: Answers.CacheAnswers) => Answers.CacheAnswers;
}

const made = vi.hoisted(() => ({ mistake: {} as Mistake, lookup: undefined as unknown as typeof Lookup }));

vi.mock("../../../src/blob/lookup.ts", async (original) => {
  const real = (made.lookup = await original<typeof Lookup>());
  return {
    ...real,
    findAccessToken: (...args: Parameters<typeof real.findAccessToken>) =>
      (made.mistake.findAccessToken ?? real.findAccessToken)(...args),
    findIdToken: (...args: Parameters<typeof real.findIdToken>) =>
      (made.mistake.findIdToken ?? real.findIdToken)(...args),
  };
});

vi.mock("../../../src/client/lookup.ts", async (original) => {
  const real = await original<typeof Answers>();
  return {
    ...real,
    createCacheAnswers(runtime: Runtime) {
      const answers = real.createCacheAnswers(made.mistake.runtime?.(runtime) ?? runtime);
      return made.mistake.answers?.(answers) ?? answers;
    },
  };
});

beforeAll(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  made.mistake = {};
});
afterAll(() => {
  vi.useRealTimers();
});

const CASES = 10_000;
const SEED = Number(process.env["FAST_PATH_SEED"] ?? randomInt(2 ** 31));
/** On a machine with other things to do; by itself it takes a minute or two. */
const TIMEOUT_MS = 900_000;

test(
  "in 10,000 random cases nothing is answered that MSAL would not have answered, field by field, and no miss is unlisted",
  async () => {
    const tally: Tally = new Map();
    await fc.assert(
      fc.asyncProperty(arbitraryCase, (drawn) => judgeCase(drawn, tally)),
      { numRuns: CASES, seed: SEED },
    );
    const rows = [...tally].sort(([a], [b]) => a.localeCompare(b));
    console.log(`seed ${SEED}, ${CASES} cases\n${rows.map(([what, n]) => `${n}\t${what}`).join("\n")}`);
    expect(tally.get("answered from memory")).toBeGreaterThan(CASES / 20);
    expect(tally.get("answered from the store")).toBeGreaterThan(CASES / 10);
    // A reason that never comes about does not belong in the list.
    for (const reason of MISS_REASONS) expect(tally.get(`miss: ${reason}`), reason).toBeGreaterThan(0);
    for (const kind of DIFFERENCES) expect(tally.get(`difference: ${kind}`), kind).toBeGreaterThan(0);
    expect(tally.get("MSAL answered from another tenant than the authority's")).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test("docs/fast-path.md lists these reasons and differences, and no others", () => {
  const page = readFileSync(new URL("../../../docs/fast-path.md", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| `([a-z-]+)`/gm)].map((row) => row[1]);
  expect(listed).toEqual([...MISS_REASONS, ...DIFFERENCES]);
});

const withTokens = (blob: CacheBlob, change: (token: AccessTokenEntity) => object): CacheBlob => ({
  ...blob,
  AccessToken: Object.fromEntries(
    Object.entries(blob.AccessToken).map(([key, token]) => [key, { ...token, ...change(token) }]),
  ),
});

const without = (ask: Ask, field: string): Ask =>
  ({ ...ask, request: { ...ask.request, [field]: undefined } }) as Ask;

/** The real search, but for one thing. */
const searching = (
  change: (blob: CacheBlob, query: Lookup.AccessTokenQuery) => [CacheBlob, Lookup.AccessTokenQuery],
): Mistake => ({ findAccessToken: (blob, query) => made.lookup.findAccessToken(...change(blob, query)) });

const MISTAKES: Readonly<Record<string, Mistake>> = {
  "one of several scopes is enough": searching((blob, query) => [
    blob,
    { ...query, scopes: query.scopes.slice(0, 1) },
  ]),
  "no margin before the expiry": searching((blob, query) => [blob, { ...query, renewalOffsetSeconds: 0 }]),
  "a margin of one second less": searching((blob, query) => [
    blob,
    { ...query, renewalOffsetSeconds: query.renewalOffsetSeconds - 1 },
  ]),
  "the tenant is ignored": searching((blob, query) => [blob, { ...query, realm: "" }]),
  "the kind of token is ignored": searching((blob, query) => [
    withTokens(blob, () => ({ credential_type: "AccessToken" })),
    query,
  ]),
  "the account is ignored": searching((blob, query) => [
    withTokens(blob, ({ home_account_id }) =>
      home_account_id && query.homeAccountId ? { home_account_id: query.homeAccountId } : {},
    ),
    query,
  ]),
  "the resource is ignored": searching(({ ...blob }, { resource: _resource, ...query }) => [blob, query]),
  "additional key components are ignored": searching((blob, query) => [
    withTokens(blob, () => ({ additionalCacheKeyComponents: undefined })),
    query,
  ]),
  "another cloud's token will do": searching((blob, query) => [
    withTokens(blob, () => ({ environment: query.environments[0] })),
    query,
  ]),
  "of several that match the first is taken": {
    findAccessToken(blob, query) {
      const found = made.lookup.findAccessToken(blob, query);
      if (found.found || found.reason !== "ambiguous") return found;
      const [first, ...rest] = Object.keys(blob.AccessToken);
      const alone = [first!, ...rest].map((key) => ({
        ...blob,
        AccessToken: { [key]: blob.AccessToken[key] as AccessTokenEntity },
      }));
      return alone.map((one) => made.lookup.findAccessToken(one, query)).find((one) => one.found) ?? found;
    },
  },
  "claims are ignored": { request: (ask) => without(ask, "claims") },
  "forceRefresh is ignored": { request: (ask) => without(ask, "forceRefresh") },
  "skipCache is ignored": { request: (ask) => without(ask, "skipCache") },
  "the authority of the request is ignored": { request: (ask) => without(ask, "authority") },
  "the clock is read once": {
    runtime(runtime) {
      const now = runtime.now();
      return { ...runtime, now: () => now };
    },
  },
  "an answer is remembered by its scopes only": {
    answers(answers) {
      const first = new Map<string, Answers.CacheSearch>();
      const knownFor = (search: Answers.CacheSearch): Answers.CacheSearch => {
        const name = search.scopes.join(" ");
        const known = first.get(name) ?? search;
        first.set(name, known);
        const { correlationId } = search;
        return { ...known, correlationId };
      };
      return {
        find: (record, level, search, marginSeconds) =>
          answers.find(record, level, knownFor(search), marginSeconds),
        findAgain: (record, search, memory, nowMs) =>
          answers.findAgain(record, knownFor(search), memory, nowMs),
      };
    },
  },
  "any tenant's id token will do": {
    findIdToken: (blob, query) => made.lookup.findIdToken(blob, { ...query, realm: "" }),
  },
  "one field of the result is another": {
    result: (result) => ({ ...result, extExpiresOn: result.expiresOn as Date }),
  },
};

test.each(Object.keys(MISTAKES))(
  "a planted mistake is found within the 10,000 cases: %s",
  async (name) => {
    const mistake = (made.mistake = MISTAKES[name] as Mistake);
    const { failed, numRuns, errorInstance } = await fc.check(
      fc.asyncProperty(arbitraryCase, (drawn) => judgeCase(drawn, new Map(), mistake)),
      { numRuns: CASES, seed: SEED, endOnFailure: true },
    );
    expect(failed, "not found").toBe(true);
    console.log(`found in case ${numRuns}: ${String(errorInstance).split(":", 2).join(":")}`);
  },
  TIMEOUT_MS,
);
