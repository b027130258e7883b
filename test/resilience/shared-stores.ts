/** Real servers that several processes share, each by the same few handles. */
import { postgresStore } from "../../src/adapters/postgres.ts";
import type { Store } from "../../src/store/store.ts";
import { createPool, ownPostgres, startPostgres } from "../services/postgres.ts";

export interface SharedServer {
  readonly port: number;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** A client of its own on that port, which may be a proxy's. `name` keeps tests apart. */
  open(port: number, name: string): Promise<{ readonly store: Store; close(): Promise<unknown> }>;
}

export interface SharedStore {
  readonly name: string;
  /** A server whose acknowledged writes survive a crash. */
  start(): Promise<SharedServer>;
}

/** Those whose programs are here. */
export const sharedStores: readonly SharedStore[] = [
  ...(ownPostgres?.program ? [{ name: ownPostgres.name, start: postgres(ownPostgres.program) }] : []),
];

function postgres(program: string): () => Promise<SharedServer> {
  return async () => {
    const server = await startPostgres(program, ["fsync=on"]);
    return {
      ...server,
      async open(port, name) {
        const url = server.url.replace(`:${server.port}/`, `:${port}/`);
        const pool = createPool(url, { connectionTimeoutMillis: 1_000 });
        const store = postgresStore({ pool, tablePrefix: `${name}_` });
        await store.migrate();
        return { store, close: () => pool.end() };
      },
    };
  };
}
