/** What the chapters of the story share: who is in it, and what can be seen of it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { AuthorityCall } from "../../src/testing/index.ts";
import type { AccountReport } from "../worker/worker.ts";
import type { Browser, Page } from "./browser.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Ledger } from "./ledger.ts";
import type { Child, Processes } from "./processes.ts";
import type { Haystack } from "./scan.ts";
import type { Services } from "./services.ts";
import type { DemoStore } from "./store.ts";

export const ADA = "ada@contoso.example";
export const BEN = "ben@contoso.example";
export const CLEO = "cleo@fabrikam.example";
const NAMES: Readonly<Record<string, string>> = Object.freeze({
  [ADA]: "Ada Palmer",
  [BEN]: "Ben Okafor",
  [CLEO]: "Cleo Marsh",
});

export interface Stage {
  readonly services: Services;
  readonly data: DataFolder;
  readonly store: DemoStore;
  readonly processes: Processes;
  readonly ledger: Ledger;
  /** Makes the story come out wrong, for the test that it can: `skip-revocation` or `leak-token`. */
  readonly fault: string | undefined;
  readonly browsers: ReadonlyMap<string, Browser>;
  readonly worker: Child;
  web: Child;
  workerRuns: number;
  /** Provider calls since this was last asked, counted by grant, user and outcome. */
  readonly newCalls: () => Record<string, number>;
}

/** One run of the worker: what came of each account. */
export async function runWorker(stage: Stage): Promise<Record<string, string>> {
  stage.workerRuns += 1;
  return outcomes(await stage.worker.ask({ type: "run" }));
}

/** By user. */
export const outcomes = (reports: readonly AccountReport[]): Record<string, string> =>
  Object.fromEntries(reports.map((report) => [report.account.username, outcomeOf(report)]));

const outcomeOf = ({ outcome, detail }: AccountReport): string => `${outcome}: ${detail}`;

/**
 * Asks the worker to act for one account, by name. A process may go by what it has in memory for some seconds
 * after another one signed the user out (SECURITY.md states the bound), so it is asked until it refuses.
 */
export async function refusedInTheEnd(stage: Stage, username: string): Promise<string> {
  const { authority } = stage.services;
  const homeAccountId = authority.homeAccountId(username);
  const [localAccountId = "", tenantId = ""] = homeAccountId.split(".");
  const environment = authority.authorityHost;
  const account = { homeAccountId, environment, tenantId, localAccountId, username };
  const giveUpAt = Date.now() + 30_000;
  for (;;) {
    const [report] = await stage.worker.ask({ type: "run", account });
    if (report === undefined) return "no report";
    if (report.outcome !== "served" || Date.now() > giveUpAt) return outcomeOf(report);
    await sleep(100);
  }
}

export function browserOf(stage: Stage, user: string): Browser {
  const browser = stage.browsers.get(user);
  if (browser === undefined) throw new Error(`${user} has no browser`);
  return browser;
}

export const nameOf = (user: string): string => NAMES[user] ?? user;
export const hello = (user: string): string => `Hello, ${nameOf(user)}`;
export const greeting = ({ html }: Page): string => /<h1>([^<]*)<\/h1>/.exec(html)?.[1] ?? "(no heading)";
export const text = (name: string, content: string): Haystack => ({ name, bytes: Buffer.from(content) });

export const fromTheCache = (...users: readonly string[]): Record<string, string> =>
  Object.fromEntries(users.map((user) => [user, "served: token from the cache"]));

export async function isReachable(origin: string): Promise<boolean> {
  return fetch(origin).then(
    () => true,
    () => false,
  );
}

/** Published documents left out: they are fetched by the API, and by nobody for a user. */
export function tally(calls: readonly AuthorityCall[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { grant, user, outcome } of calls) {
    if (grant === "keys" || grant === "metadata") continue;
    const who = user?.split("@")[0] ?? "nobody";
    const key = `${grant} ${who}${outcome === "ok" ? "" : `: ${outcome}`}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}
