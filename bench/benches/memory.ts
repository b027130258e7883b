/**
 * What stays in memory: ten million users through a fixed limit, and a million renewals. Heap and resident memory are
 * looked at after each tenth of the way, with the garbage collected; what grows from the second tenth on is a leak.
 */
import { setImmediate } from "node:timers/promises";
import { memoryStore } from "../../src/adapters/memory.ts";
import type { CacheBlob } from "../../src/blob/entities.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import type { Benchmark, Context } from "../lib/benchmark.ts";
import type { Result } from "../lib/compare.ts";
import { createApplication, ours, SCOPES } from "../lib/parties.ts";
import { bytesTiers } from "../lib/tiers.ts";

const LIMIT_BYTES = 64_000_000;
const VALUE_BYTES = 4_096;
const TENTHS = 10;

export const memory: Benchmark = {
  title: "Heap and resident memory along the way, MB",
  run: async (context) => [await partitions(context), await renewals(context)],
};

/** Every user is read once: L1 takes each in and gives an older one up. */
async function partitions({ isQuick }: Context): Promise<Result> {
  const count = isQuick ? 100_000 : 10_000_000;
  const bytes = Buffer.alloc(VALUE_BYTES, "x");
  // A store that has everybody; a copy each, because a real one has no two records in the same memory.
  const store = {
    name: "everybody",
    get: (key: string) => Promise.resolve({ bytes: Buffer.from(bytes), version: key }),
  } as unknown as BlobStore;
  const tiers = bytesTiers(store, { l1MaxBytes: LIMIT_BYTES });
  const walk = await walkThrough(count, (index) => tiers.read(`user:${index}`));
  tiers.close();
  return resultOf("tokenkeep tiers, distinct users through 64 MB", count, walk);
}

/** One user whose token is renewed again and again, by the whole client, sealed, in a store. */
async function renewals({ isQuick }: Context): Promise<Result> {
  const count = isQuick ? 1_000 : 1_000_000;
  const application = createApplication();
  const { client, cache, bring } = ours(renewing(application), memoryStore());
  await bring(1, application.blob(1, { accessTokens: 1 }));
  const request = { account: application.account(1), scopes: SCOPES, forceRefresh: true };
  const walk = await walkThrough(count, async () => {
    const { metadata } = await client.acquireTokenSilent(request);
    if (metadata.tokenSource !== "identity-provider" || !metadata.saved)
      throw new Error("it was not renewed");
  });
  await cache.close();
  return resultOf("tokenkeep, renewals of one user", count, walk);
}

/** A provider that answers at once, with what the blob has already. */
function renewing(application: ReturnType<typeof createApplication>): typeof application {
  const { Account, IdToken, AccessToken, RefreshToken } = JSON.parse(
    application.blob(1, { accessTokens: 1 }),
  ) as CacheBlob;
  const [account, idToken, accessToken, refreshToken] = [Account, IdToken, AccessToken, RefreshToken].map(
    (section) => Object.values(section)[0] as { readonly secret?: string; readonly client_info?: string },
  );
  const body = {
    token_type: "Bearer",
    scope: SCOPES.join(" "),
    expires_in: 3_600,
    access_token: accessToken?.secret,
    refresh_token: refreshToken?.secret,
    id_token: idToken?.secret,
    client_info: account?.client_info,
  };
  const send = (): Promise<never> =>
    Promise.resolve({ status: 200, headers: {}, body: { ...body } } as never);
  return {
    ...application,
    system: { networkClient: { sendGetRequestAsync: send, sendPostRequestAsync: send } },
  };
}

interface Walk {
  readonly seconds: number;
  readonly cpuUs: number;
  readonly heapMb: readonly number[];
  readonly rssMb: readonly number[];
}

async function walkThrough(count: number, step: (index: number) => Promise<unknown>): Promise<Walk> {
  const [heapMb, rssMb]: [number[], number[]] = [[], []];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  for (let index = 0; index < count; index += 1) {
    await step(index);
    if ((index + 1) % (count / TENTHS) !== 0) continue;
    // Finalizers run between turns.
    for (let turn = 0; turn < 2; turn += 1) {
      await setImmediate();
      globalThis.gc?.();
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    heapMb.push((heapUsed + external) / 1e6);
    rssMb.push(rss / 1e6);
  }
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - startedAt) / 1_000, cpuUs: (user + system) / count, heapMb, rssMb };
}

function resultOf(subject: string, count: number, { seconds, cpuUs, heapMb, rssMb }: Walk): Result {
  const growth = ([, second = 0, ...rest]: readonly number[]): string =>
    `${((rest.at(-1) ?? second) - second).toFixed(1)}`;
  const way = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(" ");
  return {
    bench: "memory",
    subject,
    params: { count },
    opsPerSecond: count / seconds,
    p50Us: (seconds * 1e6) / count,
    p99Us: Number.NaN,
    rounds: 1,
    spread: 0,
    cpuUs,
    ratios: {},
    more: {
      "heap after each tenth, MB": way(heapMb),
      "growth from the second tenth on, MB": growth(heapMb),
      "resident after each tenth, MB": way(rssMb),
    },
  };
}
