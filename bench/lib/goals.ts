/** What is to be reached, as ratios in one run. A goal that is missed is explained in RESULTS.md, not lowered. */
import type { Result } from "./compare.ts";

interface Goal {
  readonly text: string;
  readonly bench: string;
  /** What was measured; `undefined` if it was not. */
  readonly measured: (results: readonly Result[]) => number | undefined;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Judged {
  readonly text: string;
  readonly wanted: string;
  readonly measured: number;
  readonly isMet: boolean;
}

const GOALS: readonly Goal[] = [
  {
    text: "`hit`, 5 tokens: times msal-node + `DistributedCachePlugin` on a Map, a client per request",
    bench: "hit",
    measured: (results) => ratio(results, "tokenkeep", /client per request/, { accessTokens: 5 }),
    atLeast: 150,
  },
  {
    text: "`hit`, 5 tokens: awaited answers per second of CPU",
    bench: "hit",
    measured: (results) => perCpuSecond(find(results, "tokenkeep", { accessTokens: 5 })),
    atLeast: 1_000_000,
  },
  {
    text: "`hit`, 5 tokens: times the time of an awaited Map lookup",
    bench: "hit",
    measured: (results) => inverse(ratio(results, "tokenkeep", /Map lookup/, { accessTokens: 5 })),
    atMost: 12,
  },
  {
    text: "`hit`, 50 tokens: times the CPU of 5",
    bench: "hit",
    measured: (results) =>
      quotient(
        find(results, "tokenkeep", { accessTokens: 50 })?.cpuUs,
        find(results, "tokenkeep", { accessTokens: 5 })?.cpuUs,
      ),
    atMost: 1.2,
  },
  {
    text: "`l1`: awaited hits per second",
    bench: "l1",
    measured: (results) => find(results, "tokenkeep tiers, read", {})?.opsPerSecond,
    atLeast: 2_500_000,
  },
  {
    text: "`l1`: times bentocache's default",
    bench: "l1",
    measured: (results) => ratio(results, "tokenkeep tiers, read", /bentocache, default/, {}),
    atLeast: 10,
  },
  ...[1, 32, 256].flatMap((callers): Goal[] => [
    {
      text: `\`redis-read\`, ${callers} callers: times the bare client`,
      bench: "redis-read",
      measured: (results) => ratio(results, "tokenkeep on node-redis", /^node-redis$/, { callers }),
      atLeast: 0.9,
    },
    {
      text: `\`redis-write\`, ${callers} callers: times a bare script call`,
      bench: "redis-write",
      measured: (results) =>
        ratio(results, "tokenkeep on node-redis", /^bare script, node-redis$/, {
          callers,
          outcome: "stored",
        }),
      atLeast: 0.9,
    },
  ]),
  {
    text: "`redis-token`, 32 callers: times the vendor's plugin",
    bench: "redis-token",
    measured: (results) => ratio(results, "tokenkeep, sealed", /msal-node/, { callers: 32 }),
    atLeast: 5,
  },
  {
    text: "`users`: CPU of a hit in a hot set of 100 among 1,000,000, times that among 100",
    bench: "users",
    measured: (results) =>
      quotient(find(results, hotAmong(1_000_000), {})?.cpuUs, find(results, hotAmong(100), {})?.cpuUs),
    atMost: 1.5,
  },
  {
    text: "`users`: a uniform hit against a Map of equal size, 1,000,000 users, times the same among 100",
    bench: "users",
    measured: (results) => quotient(uniformToMap(results, 1_000_000), uniformToMap(results, 100)),
    atMost: 1,
  },
  {
    text: "`herd`, 5,000 callers: calls to the provider",
    bench: "herd",
    measured: (results) => more(find(results, "tokenkeep", { callers: 5_000 }), /^calls/),
    atMost: 1,
  },
  {
    text: "`herd`, 5,000 callers: the last answer after the provider's, ms",
    bench: "herd",
    measured: (results) => more(find(results, "tokenkeep", { callers: 5_000 }), /^last answer/),
    atMost: 20,
  },
  {
    text: "`farm`: an invalidation reaches another process, median, ms",
    bench: "farm",
    measured: (results) => milliseconds(find(results, ANNOUNCED, {})?.p50Us),
    atMost: 0.3,
  },
  {
    text: "`farm`: an invalidation reaches another process, p99, ms",
    bench: "farm",
    measured: (results) => milliseconds(find(results, ANNOUNCED, {})?.p99Us),
    atMost: 3,
  },
];

const ANNOUNCED = "tokenkeep, from the announcement";

const milliseconds = (us: number | undefined): number | undefined => us && us / 1_000;

const hotAmong = (users: number): string => `tokenkeep, hot set of 100, ${users.toLocaleString("en")} users`;

/** How many times as long as an awaited lookup in a Map with as many entries. */
function uniformToMap(results: readonly Result[], users: number): number | undefined {
  const size = users.toLocaleString("en");
  return inverse(
    ratio(
      results,
      `tokenkeep, uniform, ${size} users`,
      new RegExp(`^awaited Map lookup, uniform, ${size} users`),
      {},
    ),
  );
}

/** The goals of the benchmarks that were run. */
export function judge(results: readonly Result[]): Judged[] {
  return GOALS.flatMap(({ text, bench, measured, atLeast, atMost }) => {
    const value = measured(results.filter((result) => result.bench === bench));
    if (value === undefined) return [];
    const isMet = value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity);
    const wanted =
      atLeast === undefined
        ? `at most ${atMost?.toLocaleString("en")}`
        : `at least ${atLeast.toLocaleString("en")}`;
    return [{ text, wanted, measured: value, isMet }];
  });
}

function find(results: readonly Result[], subject: string, params: Result["params"]): Result | undefined {
  const wanted = Object.entries(params);
  return results.find(
    (result) => result.subject === subject && wanted.every(([name, value]) => result.params[name] === value),
  );
}

function ratio(
  results: readonly Result[],
  subject: string,
  other: RegExp,
  params: Result["params"],
): number | undefined {
  const ratios = Object.entries(find(results, subject, params)?.ratios ?? {});
  return ratios.find(([name]) => other.test(name))?.[1];
}

function more(result: Result | undefined, name: RegExp): number | undefined {
  const found = Object.entries(result?.more ?? {}).find(([column]) => name.test(column))?.[1];
  return found === undefined ? undefined : Number(found);
}

function perCpuSecond(result: Result | undefined): number | undefined {
  return result && 1_000_000 / result.cpuUs;
}

function inverse(value: number | undefined): number | undefined {
  return value && 1 / value;
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
