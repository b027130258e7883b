/** A background worker on tokenkeep: it acts for every user who has signed in, while they are away. */
import { accountRef, createConfidentialClient, createTokenCache, keysFromFile } from "../../src/index.ts";
import type { AccountRef, TokenResult } from "../../src/index.ts";
import { fetchProfile } from "../notes-api/client.ts";
import { NOTES_SCOPES, type Settings } from "../settings.ts";
import { openStore } from "../store.ts";

/** What came of one account. */
export interface AccountReport {
  readonly account: AccountRef;
  readonly outcome: "served" | "failed" | "benched";
  /** Served: where the token came from. Failed, benched: why. */
  readonly detail: string;
}

export interface Worker {
  /** Acts for everybody it can act for, and says who had to be left out and why. */
  readonly run: () => Promise<AccountReport[]>;
  /** Acts for one account, as a job of a queue would. */
  readonly actFor: (account: AccountRef) => Promise<AccountReport>;
  readonly close: () => Promise<unknown>;
}

export function createWorker(settings: Settings): Worker {
  // ------------------------------------------------------------------------------------------------
  const { store, end } = openStore(settings.store);
  const tokenCache = createTokenCache({
    store,
    keys: keysFromFile(settings.keyFile),
  });
  const client = createConfidentialClient({ auth: settings.auth, tokenCache, role: "worker" });
  const workable = () => tokenCache.accounts({ status: ["ok", "retry-later"] });
  const benched = () => tokenCache.accounts({ status: ["needs-interaction", "consent-required"] });
  const tokenFor = (account: AccountRef) => (forceRefresh: boolean) =>
    client.acquireTokenSilent({ account, scopes: NOTES_SCOPES, forceRefresh });
  // ------------------------------------------------------------------------------------------------

  async function actFor(account: AccountRef): Promise<AccountReport> {
    const apiUrl = settings.notesApiUrl;
    const about = { account: accountRef(account) };
    try {
      const { token } = await fetchProfile({ apiUrl, caller: "worker", acquire: tokenFor(account) });
      return { ...about, outcome: "served", detail: sourceOf(token) };
    } catch (error) {
      // One account's failure stops nobody else; the cache has noted why, and when to try again.
      return { ...about, outcome: "failed", detail: reasonOf(error) };
    }
  }

  async function run(): Promise<AccountReport[]> {
    const reports: AccountReport[] = [];
    for await (const account of benched()) {
      const detail = `${account.status}: ${account.failure?.code ?? "unknown"}`;
      reports.push({ account: accountRef(account), outcome: "benched", detail });
    }
    for await (const account of workable()) {
      const isDue = (account.failure?.nextAttemptAt ?? 0) <= Date.now();
      if (isDue) reports.push(await actFor(account));
    }
    return reports;
  }

  async function close(): Promise<void> {
    await tokenCache.close();
    await end();
  }

  return { run, actFor, close };
}

const sourceOf = ({ metadata }: TokenResult): string =>
  metadata.tokenSource === "cache" ? "token from the cache" : "token renewed";

/** A code, not a text: it goes into logs. */
export function reasonOf(error: unknown): string {
  const { errorCode, code, message } = error as { errorCode?: string; code?: string; message?: string };
  return errorCode ?? code ?? message ?? "unknown";
}
