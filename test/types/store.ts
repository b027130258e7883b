/** Never run: a store is any object of the right shape; nothing has to be extended or imported. */
import pg from "pg";
import { createTokenCache, type BlobStore, type Store } from "../../src/index.ts";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import { memoryStore } from "../../src/adapters/memory.ts";
import { postgresStore } from "../../src/adapters/postgres.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { blobStoreContract } from "../../src/testing/index.ts";
import { describe, expect, test } from "vitest";
import { describe as nodeDescribe, test as nodeTest } from "node:test";

/** Four methods and a name are a whole store. */
export const stranger = {
  name: "stranger",
  get: async (_key: string) => undefined,
  put: async (_key: string, _bytes: Uint8Array, _options: { readonly version: string }) => ({
    stored: true as const,
  }),
  touch: async () => false,
  delete: async () => false,
};
createTokenCache({ store: stranger, keys: "unsealed" });

export const stores: readonly Store[] = [
  stranger,
  memoryStore(),
  sqliteStore({ path: "tokens.db" }),
  filesystemStore({ folder: "tokens" }),
  postgresStore({ pool: new pg.Pool() }),
];
export const blobStores: readonly BlobStore[] = [stranger];

/** The contract suite takes the runners of others as they are. */
const open = async () => ({ store: stranger, close: async () => {} });
blobStoreContract({ name: "stranger", test, expect, describe, open });
blobStoreContract({ name: "stranger", test: nodeTest, expect, describe: nodeDescribe, open });

// @ts-expect-error a store that cannot compare is none
export const blind: BlobStore = { ...stranger, put: async (_key: string, _bytes: Uint8Array) => {} };
