/** Which store web app and worker share, by one text from outside. An application would name one store only. */
import pg from "pg";
import { createClient } from "redis";
import type { Store } from "../src/index.ts";
import { filesystemStore } from "../src/adapters/filesystem.ts";
import { postgresStore } from "../src/adapters/postgres.ts";
import { redisStore } from "../src/adapters/redis.ts";
import { sqliteStore } from "../src/adapters/sqlite.ts";

export interface OpenedStore {
  readonly store: Store;
  /** Ends the client that was made for the store; after the cache has closed. */
  readonly end: () => Promise<void>;
}

/** @param location `filesystem:FOLDER`, a `postgresql://` or `redis://` URL, or the path of a SQLite file */
export function openStore(location: string): OpenedStore {
  const nothing = async (): Promise<void> => undefined;
  if (location.startsWith("filesystem:")) {
    return { store: filesystemStore({ folder: location.slice("filesystem:".length) }), end: nothing };
  }
  if (/^postgres(ql)?:/.test(location)) {
    const pool = new pg.Pool({ connectionString: location });
    return { store: postgresStore({ pool }), end: () => pool.end() };
  }
  if (/^rediss?:/.test(location)) {
    const client = createClient({ url: location });
    // The store has a connection of its own and reports what fails on it.
    client.on("error", () => undefined);
    return { store: redisStore({ client }), end: nothing };
  }
  return { store: sqliteStore({ path: location }), end: nothing };
}
