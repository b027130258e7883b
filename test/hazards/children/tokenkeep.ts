/** A process with tokenkeep, and a SQLite file that it shares with other processes. */
import { sqliteStore } from "../../../src/adapters/sqlite.ts";
import { createConfidentialClient, createTokenCache, keysFromEnv } from "../../../src/index.ts";
import { KEYS_VARIABLE } from "./protocol.ts";
import { serveTasks, settings } from "./serve.ts";

const { auth, account, storePath = "", refreshTokens = "reusable" } = settings();
const tokenCache = createTokenCache({
  store: sqliteStore({ path: storePath }),
  keys: keysFromEnv(KEYS_VARIABLE),
  refreshTokens,
});

serveTasks(
  (scopes) => createConfidentialClient({ auth, tokenCache }).acquireTokenSilent({ account, scopes }),
  () => tokenCache.close(),
);
