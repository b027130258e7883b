/** Several processes of one application, one Redis: what a token costs, and how soon a change is known elsewhere. */
import { redisStore } from "../../src/adapters/redis.ts";

import { startApart, type Apart } from "../lib/apart.ts";
import type { Benchmark, Context } from "../lib/benchmark.ts";
import type { Result, Round } from "../lib/compare.ts";
import { createApplication, ours, redisClient } from "../lib/parties.ts";
import { nodeRedis, withRedis } from "../lib/redis.ts";
import { median, percentile, spreadOf } from "../lib/statistics.ts";
import type { FarmSettings } from "./children/farm.ts";
import { invalidationResults } from "./invalidation.ts";

const PROCESSES = 4;
const CALLERS = 8;
const USERS = 400;
const LIFE_SECONDS = 3;
const PROVIDER_MS = 50;

export const farm: Benchmark = {
  title: `${PROCESSES} processes over one Redis, ${CALLERS} callers each, ${USERS} users at random, tokens that expire after ${LIFE_SECONDS} s, a provider that takes ${PROVIDER_MS} ms`,
  run: (context) =>
    withRedis(async ({ url, port }) => [
      ...(await traffic(url, context)),
      ...(await invalidationResults({ url, port }, context)),
    ]),
};

async function traffic(url: string, { isQuick }: Context): Promise<Result[]> {
  const node = await nodeRedis(url);
  await seed(url);
  const settings: FarmSettings = { url, users: USERS, lifeSeconds: LIFE_SECONDS, providerMs: PROVIDER_MS };
  const processes: Apart[] = [];
  try {
    for (let count = 0; count < PROCESSES; count += 1) processes.push(await startApart("farm.ts", settings));
    const names = processes[0]!.subjects.map(({ name }) => name);
    const rounds = new Map<string, FarmRound[]>(names.map((name) => [name, []]));
    for (let round = 0; round <= (isQuick ? 1 : 3); round += 1) {
      for (const name of names) {
        const subjects = processes.map(({ subjects }) => subjects.find((subject) => subject.name === name)!);
        const before = await commandsOf(node);
        const parts = await Promise.all(
          subjects.map((subject) => subject.round(CALLERS, isQuick ? 500 : 6_000)),
        );
        // The first compiles, and fills what is filled once.
        if (round > 0) rounds.get(name)!.push({ parts, commands: (await commandsOf(node)) - before });
      }
    }
    return names.map((name) => resultOf(name, rounds.get(name)!));
  } finally {
    await Promise.all(processes.map((process) => process.stop()));
    node.destroy();
  }
}

interface FarmRound {
  readonly parts: readonly Round[];
  readonly commands: number;
}

/** Both have the same users' tokens in the same server, under names of their own. */
async function seed(url: string): Promise<void> {
  const application = createApplication();
  const node = await nodeRedis(url);
  const { bring, cache } = ours(application, redisStore({ client: node }));
  const vendor = redisClient(node);
  for (let user = 0; user < USERS; user += 1) {
    const blob = application.blob(user, { accessTokens: 5, lifetimeSeconds: 300 + LIFE_SECONDS });
    await bring(user, blob);
    await vendor.set(application.account(user).homeAccountId, blob);
  }
  await cache.close();
  node.destroy();
}

/** Commands the server has processed so far. */
async function commandsOf(node: Awaited<ReturnType<typeof nodeRedis>>): Promise<number> {
  const info = String((await node.sendCommand(["INFO", "stats"])) as unknown as Buffer);
  return Number(/total_commands_processed:(\d+)/.exec(info)?.[1]);
}

function resultOf(subject: string, rounds: readonly FarmRound[]): Result {
  const rates = rounds.map(({ parts }) => sum(parts.map(({ opsPerSecond }) => opsPerSecond)));
  const latencies = rounds
    .flatMap(({ parts }) => parts.flatMap(({ latenciesUs }) => latenciesUs))
    .toSorted((a, b) => a - b);
  const operations = sum(rounds.flatMap(({ parts }) => parts.map((part) => part.operations)));
  const cpuUs = sum(rounds.flatMap(({ parts }) => parts.map((part) => part.cpuUs * part.operations)));
  const calls = rounds.map(({ parts }) => sum(parts.map(({ counted }) => counted)));
  return {
    bench: "farm",
    subject,
    params: { what: "tokens", processes: PROCESSES, callers: PROCESSES * CALLERS },
    opsPerSecond: median(rates),
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    rounds: rounds.length,
    spread: spreadOf(rates),
    cpuUs: cpuUs / operations,
    ratios: {},
    more: {
      "commands to Redis per token": sum(rounds.map(({ commands }) => commands)) / operations,
      "calls to the provider": median(calls),
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
