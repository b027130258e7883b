/** Everybody asks at once for one token that has expired. */
import type { AccountInfo } from "@azure/msal-node";
import { memoryStore } from "../../src/adapters/memory.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import type { Result } from "../lib/compare.ts";
import {
  createApplication,
  mapClient,
  msalAlone,
  msalWithPlugin,
  ours,
  SCOPES,
  type Application,
} from "../lib/parties.ts";
import { createProvider, type Provider } from "../lib/provider.ts";
import { median, percentile, spreadOf } from "../lib/statistics.ts";

const PROVIDER_MS = 100;
/** A thousand calls compile the code, thirty thousand make it as fast as it is in a process that has served for a while. */
const WARM_UPS = 6;
/** MSAL renews what has less than 300 s left. */
const EXPIRING_SECONDS = 200;

interface Party {
  readonly name: string;
  /** Takes a user whose token counts as expired. @returns one silent call for them. */
  prepare(index: number, blob: string): Promise<() => Promise<unknown>>;
}

interface Round {
  readonly calls: number;
  readonly totalMs: number;
  readonly latenciesUs: readonly number[];
}

export const herd: Benchmark = {
  title: `Many callers at once on one expired token; the provider takes ${PROVIDER_MS} ms for each answer`,
  async run({ pace, isQuick }) {
    const provider = createProvider(createApplication(), { answerMs: PROVIDER_MS });
    const { parties, close } = partiesOf(provider.application);
    const results: Result[] = [];
    let user = 0;
    for (const callers of isQuick ? [50, 500] : [50, 500, 5_000]) {
      const rounds = new Map<Party, Round[]>(parties.map((party) => [party, []]));
      const most = callers > 1_000 ? 3 : 5;
      for (let round = -WARM_UPS; round < Math.min(pace.rounds, most); round += 1) {
        for (const party of parties) {
          const outcome = await stampede(provider, party, callers, (user += 1));
          if (round >= 0) rounds.get(party)!.push(outcome);
        }
      }
      results.push(...parties.map((party) => resultOf(party.name, callers, rounds.get(party)!)));
    }
    await close();
    return results;
  },
};

function partiesOf(application: Application): { parties: readonly Party[]; close(): Promise<unknown> } {
  const { client, cache, bring } = ours(application, memoryStore());
  /** Each caller has an account of its own, as from a session. */
  const requests = (index: number): (() => { account: AccountInfo; scopes: string[] }) => {
    const account = application.account(index);
    return () => ({ account: { ...account }, scopes: SCOPES });
  };
  const parties: Party[] = [
    {
      name: "tokenkeep",
      async prepare(index, blob) {
        await bring(index, blob);
        const request = requests(index);
        return () => client.acquireTokenSilent(request());
      },
    },
    {
      name: "msal-node, no plugin, one client",
      async prepare(index, blob) {
        const alone = msalAlone(application, [blob]);
        const request = requests(index);
        return () => alone.acquireTokenSilent(request());
      },
    },
    {
      name: "msal-node + DistributedCachePlugin on a Map, client per request",
      async prepare(index, blob) {
        const key = application.account(index).homeAccountId;
        const values = mapClient(new Map([[key, blob]]));
        const request = requests(index);
        return () => msalWithPlugin(application, values, key).acquireTokenSilent(request());
      },
    },
  ];
  return { parties, close: () => cache.close() };
}

async function stampede(provider: Provider, party: Party, callers: number, user: number): Promise<Round> {
  const expiring = { accessTokens: 5, lifetimeSeconds: EXPIRING_SECONDS };
  const silent = await party.prepare(user, provider.application.blob(user, expiring));
  const callsBefore = provider.calls;
  const latenciesUs: number[] = [];
  const startedAt = performance.now();
  const one = async (): Promise<void> => {
    await silent();
    latenciesUs.push((performance.now() - startedAt) * 1_000);
  };
  await Promise.all(Array.from({ length: callers }, one));
  return { calls: provider.calls - callsBefore, totalMs: performance.now() - startedAt, latenciesUs };
}

function resultOf(subject: string, callers: number, rounds: readonly Round[]): Result {
  const latencies = rounds.flatMap(({ latenciesUs }) => latenciesUs).toSorted((a, b) => a - b);
  const rates = rounds.map(({ totalMs }) => (callers * 1_000) / totalMs);
  return {
    bench: "herd",
    subject,
    params: { callers, providerMs: PROVIDER_MS },
    opsPerSecond: median(rates),
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    rounds: rounds.length,
    spread: spreadOf(rates),
    cpuUs: Number.NaN,
    ratios: {},
    more: {
      "calls to the provider": median(rounds.map(({ calls }) => calls)),
      "last answer after the provider's, ms": median(rounds.map(({ totalMs }) => totalMs - PROVIDER_MS)),
    },
  };
}
