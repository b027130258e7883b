/** Type-checked, never run: every entry of the package as a program would use it. */
import type { ICachePlugin, IConfidentialClientApplication } from "@azure/msal-node";
import {
  createConfidentialClient,
  createTokenCache,
  generateKey,
  keysFromWrapped,
  parseKeys,
  systemRuntime,
  TokenkeepError,
  userPartition,
  type AccountActivity,
  type KeySource,
  type Store,
} from "tokenkeep";
import { azureKeyVault, type AzureKeyVaultOptions } from "tokenkeep/azure-key-vault";
import { filesystemStore, type FilesystemStoreOptions } from "tokenkeep/filesystem";
import { memoryStore } from "tokenkeep/memory";
import { postgresStore, type PgPool } from "tokenkeep/postgres";
import { redisStore, type RedisStoreOptions } from "tokenkeep/redis";
import { sqliteStore, type SqliteStoreOptions } from "tokenkeep/sqlite";
import { createLocalAuthority, type LocalAuthority } from "tokenkeep/testing";
import { createSignIn, type SignInCompleted } from "tokenkeep/web";
import { expressSignIn, type SessionHandle } from "tokenkeep/web/express";

interface Properties {
  readonly plan: "free" | "paid";
}

declare const redisClient: RedisStoreOptions["client"];

export const stores: readonly Store[] = [
  memoryStore(),
  sqliteStore({ path: "tokens.db" } satisfies SqliteStoreOptions),
  filesystemStore({ folder: "tokens" } satisfies FilesystemStoreOptions),
  redisStore({ client: redisClient } satisfies RedisStoreOptions),
];

export const inDatabase = (pool: PgPool): Store => postgresStore({ pool });

export const wrappedKeys = (client: AzureKeyVaultOptions["client"], keys: string): KeySource =>
  keysFromWrapped({ wrapper: azureKeyVault({ keyId: "https://v.vault.azure.net/keys/k", client }), keys });

export const tokenCache = createTokenCache<Properties>({
  keys: parseKeys(generateKey(systemRuntime), "keys"),
  activity: { onBeforeWrite: () => ({ plan: "free" }) },
});

const client = createConfidentialClient({
  auth: { clientId: "id", clientSecret: "secret" },
  tokenCache,
  role: "worker",
});

/** An application that was written for MSAL changes one line. */
export const asInMsal: IConfidentialClientApplication = client;

export async function forEveryAccount(): Promise<AccountActivity<Properties>[]> {
  const accounts: AccountActivity<Properties>[] = [];
  for await (const account of tokenCache.accounts({ status: "ok" })) {
    const { accessToken, metadata } = await client.acquireTokenSilent({ account, scopes: ["User.Read"] });
    if (accessToken !== "" && metadata.saved) accounts.push(account);
  }
  return accounts;
}

export const signIn = createSignIn({ client, redirectUri: "https://app.example/redirect" });
export const routes = expressSignIn({ signIn, session: (): SessionHandle => ({ save() {}, destroy() {} }) });
export const complete = (flow: string, url: string): Promise<SignInCompleted> =>
  signIn.completeSignIn({ flow, url });

export const plugin: ICachePlugin = tokenCache.plugin(
  userPartition({ clientId: "id", authority: "https://login.microsoftonline.com/common" }, "uid.utid"),
);

export const authority: LocalAuthority = createLocalAuthority();

export const mayTryAgain = (error: unknown): boolean => error instanceof TokenkeepError && error.retryable;
