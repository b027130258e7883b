/** One record of bytes in PostgreSQL, beside the bare pool. */
import { postgresStore } from "../../src/adapters/postgres.ts";
import { createPool, ownPostgres, startPostgres } from "../../test/services/postgres.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compareStore } from "../lib/stores.ts";

export const postgres: Benchmark = {
  title: "4 KB in PostgreSQL on loopback, L1 off, 500 keys in turn, 10 connections, without fsync",
  async run({ pace }) {
    if (ownPostgres?.program === undefined) {
      console.error("PostgreSQL is not here: left out");
      return [];
    }
    const server = await startPostgres(ownPostgres.program);
    const [ours, bare] = [createPool(server.url), createPool(server.url)];
    const store = postgresStore({ pool: ours });
    try {
      await store.migrate();
      await bare.query("CREATE TABLE bare (key text PRIMARY KEY, bytes bytea NOT NULL)");
      return await compareStore({
        bench: "postgres",
        store,
        pace,
        callers: [1, 32],
        bare: {
          name: "pg, prepared statements",
          read: (key) =>
            bare.query({ name: "read", text: "SELECT bytes FROM bare WHERE key = $1", values: [key] }),
          write: (key, bytes) =>
            bare.query({
              name: "write",
              text: "INSERT INTO bare (key, bytes) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET bytes = $2",
              values: [key, bytes],
            }),
        },
      });
    } finally {
      await store.close();
      await Promise.all([ours.end(), bare.end()]);
      await server.stop();
    }
  },
};
