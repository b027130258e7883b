import { Logger, TokenCache } from "@azure/msal-node";
import { TokenkeepError } from "../errors.ts";
import type { AccountInfo } from "./types.ts";

/** What stands behind MSAL's `TokenCache` methods: the shared cache instead of one client's memory. */
export interface TokenCacheSource {
  getAllAccounts(): Promise<AccountInfo[]>;
  getAccountByHomeId(homeAccountId: string): Promise<AccountInfo | null>;
  getAccountByLocalId(localAccountId: string): Promise<AccountInfo | null>;
  removeAccount(account: AccountInfo): Promise<void>;
}

/**
 * MSAL's `TokenCache` over the shared cache. Methods that speak of one client's memory (`serialize`,
 * `deserialize`, …) are refused: there is no such memory, and whoever called them would mix users.
 */
class SharedTokenCache extends TokenCache {
  readonly #source: TokenCacheSource;

  constructor(source: TokenCacheSource) {
    // MSAL's class only registers for changes of a memory that this one does not have.
    const noMemory = { registerChangeEmitter: () => undefined };
    super(noMemory as unknown as ConstructorParameters<typeof TokenCache>[0], new Logger({}, "tokenkeep"));
    this.#source = source;
  }

  override getAllAccounts(): Promise<AccountInfo[]> {
    return this.#source.getAllAccounts();
  }

  override getAccountByHomeId(homeAccountId: string): Promise<AccountInfo | null> {
    return this.#source.getAccountByHomeId(homeAccountId);
  }

  override getAccountByLocalId(localAccountId: string): Promise<AccountInfo | null> {
    return this.#source.getAccountByLocalId(localAccountId);
  }

  override removeAccount(account: AccountInfo): Promise<void> {
    return this.#source.removeAccount(account);
  }

  override hasChanged(): boolean {
    return false;
  }

  override overwriteCache(): Promise<void> {
    return Promise.resolve();
  }

  override serialize(): string {
    throw notOneMemory("serialize");
  }

  override deserialize(): void {
    throw notOneMemory("deserialize");
  }

  override getKVStore(): never {
    throw notOneMemory("getKVStore");
  }

  override getCacheSnapshot(): never {
    throw notOneMemory("getCacheSnapshot");
  }
}

function notOneMemory(method: string): TokenkeepError {
  return new TokenkeepError(
    "ERR_NOT_SUPPORTED",
    `${method}() reads or writes the memory of one client; this client keeps each user's tokens apart in the shared cache. Use tokenCache.plugin(partition) with a client of your own`,
  );
}

export function createTokenCacheFacade(source: TokenCacheSource): TokenCache {
  return new SharedTokenCache(source);
}
