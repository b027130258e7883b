/** What the processes of a race share. */
import { createClient } from "redis";
import { redisStore, type RedisStore } from "../../../src/adapters/redis.ts";
import { sqliteStore, type SqliteStore } from "../../../src/adapters/sqlite.ts";
import type { Runtime } from "../../../src/index.ts";
import type { MemberSettings } from "./protocol.ts";

export type SharedStore = SqliteStore | RedisStore;

export function sharedStore(
  { storePath, redisUrl }: Pick<MemberSettings, "storePath" | "redisUrl">,
  runtime?: Runtime,
): SharedStore {
  if (redisUrl === undefined) return sqliteStore({ path: storePath, ...(runtime && { runtime }) });
  const client = createClient({ url: redisUrl });
  client.on("error", () => undefined);
  return redisStore({ client });
}
