/** A background worker in a process of its own: on command it acts for every user who has tokens. */
import { InteractionRequiredAuthError } from "@azure/msal-node";
import type { AccountActivity, SignOutOutcome, TokenResult } from "../../../src/index.ts";
import { keyCommands, log, serveCommands, served, startChild } from "./child.ts";
import type { ActedFor, Run, Served } from "./settings.ts";

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

/** The application's own token. */
async function appToken(scopes: unknown): Promise<Served> {
  const result = await client.acquireTokenByClientCredential({ scopes: scopes as string[] });
  if (!result) throw new Error("no token");
  return served(result);
}

/** Of an API that a user signs in to: what it was called with, kept as a request that takes long would keep it. */
let assertion = "";

/** Acts for the first user in every way there is: as themselves, on their behalf, and in a process of that key. */
async function actForUser(key: unknown): Promise<ActedFor> {
  const [account] = await Array.fromAsync(cache.accounts());
  const silent = await outcomeOf(async () => {
    const result = await client.acquireTokenSilent({ account: account!, scopes: [...settings.scopes] });
    assertion = result.accessToken;
    return result;
  });
  const scopes = ["api://tasks/read"];
  const onBehalfOf = await outcomeOf(() =>
    client.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes }),
  );
  const inProcess = await outcomeOf(() =>
    client.acquireTokenInLongRunningProcess({ longRunningProcessSessionKey: key as string, scopes }),
  );
  return { silent, onBehalfOf, inProcess };
}

async function outcomeOf(work: () => Promise<TokenResult | null>): Promise<string> {
  try {
    return (await work())?.metadata.tokenSource ?? "nothing";
  } catch (error) {
    log("could not act", error);
    return (error as { code?: string }).code ?? "unknown";
  }
}

async function beginProcess(key: unknown): Promise<void> {
  const [account] = await Array.fromAsync(cache.accounts());
  const { accessToken } = await client.acquireTokenSilent({
    account: account!,
    scopes: [...settings.scopes],
  });
  const request = { oboAssertion: accessToken, scopes: ["api://tasks/read"] };
  await client.initiateLongRunningProcessInWebApi(request, key as string);
}

async function signOutEverywhere(): Promise<SignOutOutcome> {
  const [account] = await Array.fromAsync(cache.accounts());
  return client.signOutEverywhere(account!);
}

serveCommands(
  {
    run,
    accounts,
    "app-token": appToken,
    "act-for-user": actForUser,
    "begin-process": beginProcess,
    "sign-out-everywhere": signOutEverywhere,
    ...keyCommands(cache),
  },
  () => cache.close(),
);
process.send?.({ ready: "worker" });
