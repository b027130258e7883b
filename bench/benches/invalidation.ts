/** From a change in one process until another one no longer answers with its copy. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import { redisStore } from "../../src/adapters/redis.ts";
import type { Context } from "../lib/benchmark.ts";
import type { Result } from "../lib/compare.ts";
import { nodeRedis } from "../lib/redis.ts";
import { percentile } from "../lib/statistics.ts";
import { bytesTiers } from "../lib/tiers.ts";
import type { Message } from "./children/invalidated.ts";

const TTL_MS = 600_000;
const PATIENCE_MS = 1_000;
const WARMUPS = 10;

interface Server {
  readonly url: string;
  readonly port: number;
}

interface Changer {
  readonly party: "tokenkeep" | "bentocache";
  /** Puts something under a key, for the other process to hold. */
  create(key: string): Promise<void>;
  /** Changes it, so that others must not go on with it. @returns when it began to tell them. */
  change(key: string): Promise<bigint>;
}

export async function invalidationResults(server: Server, { isQuick }: Context): Promise<Result[]> {
  const file = fileURLToPath(new URL("children/invalidated.ts", import.meta.url));
  const child = fork(file, [JSON.stringify(server)]);
  await messageOf(child, "ready");
  const { changers, close } = await createChangers(server);
  const times = new Map(
    changers.map(({ party }) => [party, { change: [] as number[], told: [] as number[] }]),
  );
  const changes = isQuick ? 20 : 1_000;
  for (let count = -WARMUPS; count < changes; count += 1) {
    for (const changer of changers) {
      const key = `${changer.party}:user:${count}`;
      const { change, told } = times.get(changer.party)!;
      const heard = await changeAndHear(child, changer, key);
      // Until the other one listens, it hears nothing.
      if (count < 0) continue;
      if (!heard) throw new Error(`${changer.party}: an invalidation was lost`);
      change.push(heard.sinceChangeUs);
      told.push(heard.sinceToldUs);
    }
  }
  await close();
  child.disconnect();
  await once(child, "exit");
  return [...times].flatMap(([party, { change, told }]) => [
    resultOf(`${party}, from the change`, change),
    ...(party === "tokenkeep" ? [resultOf(`${party}, from the announcement`, told)] : []),
  ]);
}

interface Heard {
  readonly sinceChangeUs: number;
  readonly sinceToldUs: number;
}

async function changeAndHear(child: ChildProcess, changer: Changer, key: string): Promise<Heard | undefined> {
  await changer.create(key);
  child.send({ type: "hold", party: changer.party, key } satisfies Message);
  await messageOf(child, "held");
  const startedAt = process.hrtime.bigint();
  const isOfChange = (message: Message): boolean =>
    message.type === "dropped" && message.key === key && BigInt(message.atNs) > startedAt;
  const dropped = messageOf(child, "dropped", isOfChange);
  const toldAt = await changer.change(key);
  const message = await Promise.race([dropped, setTimeout(PATIENCE_MS, undefined, { ref: false })]);
  if (!message) return undefined;
  const at = BigInt(message.atNs);
  return { sinceChangeUs: Number(at - startedAt) / 1_000, sinceToldUs: Number(at - toldAt) / 1_000 };
}

async function createChangers({ url, port }: Server): Promise<{
  readonly changers: readonly Changer[];
  close(): Promise<void>;
}> {
  const node = await nodeRedis(url);
  const store = redisStore({ client: node });
  const tiers = bytesTiers(store, { l1MaxBytes: 10_000_000 });
  const versions = new Map<string, string>();
  const put = async (key: string, text: string): Promise<string> => {
    const how = { ifVersion: versions.get(key) ?? null, ttlMs: TTL_MS };
    const outcome = await tiers.put(key, Buffer.from(text), how);
    if (!outcome.stored) throw new Error("it was not stored");
    versions.set(key, outcome.version);
    return outcome.version;
  };
  const layered = bentostore()
    .useL1Layer(memoryDriver({ maxSize: 10_000_000 }))
    .useL2Layer(redisDriver({ connection: { port } }))
    .useBus(redisBusDriver({ connection: { port } }));
  const bento = new BentoCache({ default: "two", stores: { two: layered } });
  const ours: Changer = {
    party: "tokenkeep",
    create: async (key) => void (await put(key, "tokens")),
    async change(key) {
      const version = await put(key, "removed");
      const toldAt = process.hrtime.bigint();
      await tiers.announce(key, version);
      return toldAt;
    },
  };
  const theirs: Changer = {
    party: "bentocache",
    create: async (key) => void (await bento.set({ key, value: "tokens", ttl: TTL_MS })),
    async change(key) {
      await bento.set({ key, value: "removed", ttl: TTL_MS });
      return 0n;
    },
  };
  const close = async (): Promise<void> => {
    tiers.close();
    await Promise.all([store.close(), bento.disconnect()]);
    node.destroy();
  };
  return { changers: [ours, theirs], close };
}

/** The next message of that type; others go past. */
async function messageOf<T extends Message["type"]>(
  child: ChildProcess,
  type: T,
  isWanted: (message: Message) => boolean = () => true,
): Promise<Extract<Message, { readonly type: T }>> {
  return new Promise((resolve) => {
    const look = (message: Message): void => {
      if (message.type !== type || !isWanted(message)) return;
      child.off("message", look);
      resolve(message as Extract<Message, { readonly type: T }>);
    };
    child.on("message", look);
  });
}

function resultOf(subject: string, times: readonly number[]): Result {
  const sorted = times.toSorted((a, b) => a - b);
  return {
    bench: "farm",
    subject,
    params: { what: "invalidation" },
    opsPerSecond: Number.NaN,
    p50Us: percentile(sorted, 0.5),
    p99Us: percentile(sorted, 0.99),
    rounds: times.length,
    spread: Number.NaN,
    cpuUs: Number.NaN,
    ratios: {},
  };
}
