/** A process that holds copies of what another one changes, and says when it has heard of each change. */
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import { redisStore } from "../../../src/adapters/redis.ts";
import { settingsOf } from "../../lib/apart.ts";
import { nodeRedis } from "../../lib/redis.ts";
import { bytesTiers } from "../../lib/tiers.ts";

/** Parent to child: have a copy of it. Child to parent: it is here, or it was dropped at that time (shared clock). */
export type Message =
  | { readonly type: "ready" }
  | { readonly type: "hold"; readonly party: "tokenkeep" | "bentocache"; readonly key: string }
  | { readonly type: "held" }
  | { readonly type: "dropped"; readonly key: string; readonly atNs: string };

const { url, port } = settingsOf<{ readonly url: string; readonly port: number }>();
const store = redisStore({ client: await nodeRedis(url) });
const tiers = bytesTiers(store, { l1MaxBytes: 10_000_000 });
store.backplane.subscribe(({ key }) => {
  if (tiers.peek(key) !== undefined) throw new Error("a copy has outlived its invalidation");
  dropped(key);
});
const bento = new BentoCache({
  default: "two",
  stores: {
    two: bentostore()
      .useL1Layer(memoryDriver({ maxSize: 10_000_000 }))
      .useL2Layer(redisDriver({ connection: { port } }))
      .useBus(redisBusDriver({ connection: { port } })),
  },
});
bento.on("bus:message:received", ({ message }) => message.keys.forEach(dropped));
process.on("message", (message: Message) => void hold(message));
process.once("disconnect", () => process.exit());
tell({ type: "ready" });

async function hold(message: Message): Promise<void> {
  if (message.type !== "hold") return;
  const { party, key } = message;
  const copy = party === "tokenkeep" ? await tiers.read(key) : await bento.get({ key });
  if (copy === undefined) throw new Error("there is nothing to hold");
  tell({ type: "held" });
}

function dropped(key: string): void {
  tell({ type: "dropped", key, atNs: String(process.hrtime.bigint()) });
}

function tell(message: Message): void {
  process.send?.(message);
}
