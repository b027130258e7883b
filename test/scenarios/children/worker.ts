/** A background worker in a process of its own: on command it acts for every user who has tokens. */
import { InteractionRequiredAuthError } from "@azure/msal-node";
import type { AccountActivity } from "../../../src/index.ts";
import { keyCommands, log, serveCommands, served, startChild } from "./child.ts";
import type { Run } from "./settings.ts";

const { settings, cache, client } = startChild("worker");

/** One run: whom the index names as servable, one after the other; a failure concerns one account only. */
async function run(): Promise<Run[]> {
  const report: Run[] = [];
  for await (const account of cache.accounts({ status: "ok" })) report.push(await serve(account));
  return report;
}

async function serve(account: AccountActivity): Promise<Run> {
  try {
    const result = await client.acquireTokenSilent({ account, scopes: [...settings.scopes] });
    const response = await fetch(`${settings.apiOrigin}/profile`, {
      headers: { authorization: `Bearer ${result.accessToken}` },
    });
    if (!response.ok) throw Object.assign(new Error("the API refused"), { errorCode: `${response.status}` });
    const profile: unknown = await response.json();
    return { user: account.username, outcome: "ok", served: served(result), profile };
  } catch (error) {
    log(`could not act for ${account.username}`, error);
    const { errorCode, code } = error as { errorCode?: string; code?: string };
    const outcome = error instanceof InteractionRequiredAuthError ? "needs-interaction" : "failed";
    return { user: account.username, outcome, code: errorCode ?? code ?? "unknown" };
  }
}

/** Everybody the index knows, benched or not. */
async function accounts(): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const account of cache.accounts()) all.push(account);
  return all;
}

serveCommands({ run, accounts, ...keyCommands(cache) }, () => cache.close());
process.send?.({ ready: "worker" });
