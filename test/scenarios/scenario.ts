/** A scenario: one authority, one SQLite file, real processes; and what must hold in every one of them. */
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFailed, vi } from "vitest";
import { generateKey, systemRuntime, type AccountActivity } from "../../src/index.ts";
import {
  createLocalAuthority,
  DEFAULT_CLIENT_IDS,
  type LocalAuthority,
  type LocalAuthorityOptions,
} from "../../src/testing/index.ts";
import { createBrowser, type Browser } from "./browser.ts";
import type { ChildSettings, Run, ScenarioStore } from "./children/settings.ts";
import { foreignRecords, leaksIn, openRecords, rawStore, type Lying, type StorePlace } from "./evidence.ts";
import { startProcess, type ChildEnd, type ChildHandle } from "./processes.ts";
import { startProfileApi, type ProfileApi } from "./profile-api.ts";

// Each scenario starts several processes, and the machine may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

export const ADA = "ada@contoso.example";
export const BEN = "ben@contoso.example";
export const CLEO = "cleo@fabrikam.example";
export const NOTES = "api://notes/read";
export const TASKS = "api://tasks/read";
export const MAIL = "Mail.Read";

/** So short that MSAL takes the token for expired at once, and so long that an API still takes it. */
export const EXPIRED = { accessTokenSeconds: 200 };
export const LASTING = { accessTokenSeconds: 3600 };

/** A sign-in that asks for no token afterwards. */
export const SIGN_IN_ONLY = "/sign-in?returnTo=/no-page";

/** What the authority does, and which store the processes share. Default: SQLite. */
export interface ScenarioOptions extends LocalAuthorityOptions {
  readonly store?: ScenarioStore;
}

export interface WebApp extends ChildHandle {
  readonly origin: string;
}

export interface Worker extends ChildHandle {
  readonly run: () => Promise<Run[]>;
  readonly accounts: () => Promise<AccountActivity[]>;
}

export interface Scenario {
  readonly authority: LocalAuthority;
  /** The SQLite file, or the folder. */
  readonly storePath: string;
  readonly api: ProfileApi;
  /** `keys` are what this process has in its environment; default: the scenario's. */
  readonly webApp: (settings?: Partial<ChildSettings>, keys?: string) => Promise<WebApp>;
  readonly worker: (settings?: Partial<ChildSettings>, keys?: string) => Promise<Worker>;
  /** The scenario's own keys, as text. */
  readonly keys: string;
  /** Writes a file of keys, whole, in place of one of the same name. @returns its path */
  readonly writeKeys: (name: string, keys: string) => string;
  readonly browser: () => Browser;
  /** Every record, opened with the keys. */
  readonly records: () => Promise<Lying[]>;
  /** The users' records. */
  readonly userRecords: () => Promise<Lying[]>;
  /** Ends a process as a crash would. It is not asked to have ended in order. */
  readonly crash: (child: ChildHandle) => Promise<void>;
  /** Another process's write lock on the store, until released. */
  readonly lockStore: () => { release(): void };
}

/** Calls that reached the authority, by kind; kinds that are not named must not occur. */
export type ExpectedCalls = Readonly<Record<string, number>>;

/**
 * Plays a scenario and then checks what holds in every one: nobody's entries lie in another's partition; no
 * secret lies in the store's files or in what the processes printed; the authority was called exactly as often
 * as `play` says; every process ended in order, which one with an unhandled rejection does not.
 */
export async function playScenario(
  play: (scenario: Scenario) => Promise<ExpectedCalls>,
  options: ScenarioOptions = {},
): Promise<void> {
  const stage = await buildStage(options);
  onTestFailed(() => console.warn(`what the processes printed:\n${stage.printed()}`));
  try {
    const expectedCalls = await play(stage.scenario);
    const whileRunning = await stage.leaks();
    const ends = await stage.endProcesses();
    const afterwards = await stage.leaks();
    expect(callsByKind(stage.scenario.authority), "calls to the authority").toEqual(expectedCalls);
    expect(foreignRecords(await stage.scenario.records()), "records with foreign entries").toEqual([]);
    expect({ whileRunning, afterwards }, "secrets in store and logs").toEqual({
      whileRunning: { store: 0, logs: 0 },
      afterwards: { store: 0, logs: 0 },
    });
    expect(
      ends.filter((end) => !endedInOrder(end)),
      "processes that did not end in order",
    ).toEqual([]);
  } finally {
    await stage.clear();
  }
}

const endedInOrder = (end: ChildEnd): boolean => end.code === 0 && end.closed?.lost === 0;

function callsByKind(authority: LocalAuthority): ExpectedCalls {
  const counts: Record<string, number> = {};
  for (const { grant } of authority.calls) counts[grant] = (counts[grant] ?? 0) + 1;
  return counts;
}

export interface Stage {
  readonly scenario: Scenario;
  leaks(): Promise<{ readonly store: number; readonly logs: number }>;
  endProcesses(): Promise<ChildEnd[]>;
  printed(): string;
  clear(): Promise<void>;
}

/** For the harness's own tests; scenarios use {@link playScenario}. */
export async function buildStage({ store, ...options }: ScenarioOptions = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-scenario-"));
  chmodSync(folder, 0o700);
  const storePath = join(folder, store === "filesystem" ? "tokens" : "tokens.db");
  const place: StorePlace = { storePath, ...(store && { store }) };
  const keys = generateKey(systemRuntime);
  /** Everybody's: each opens something, and none may lie anywhere. */
  const allKeys = new Set([keys]);
  const authority = createLocalAuthority(options);
  const listener = await authority.listen();
  const api = await startProfileApi(authority);
  const children: ChildHandle[] = [];
  const crashed = new Set<number>();
  let unsealed = false;

  async function start(
    program: "web-app" | "worker",
    own: Partial<ChildSettings> = {},
    itsKeys = keys,
  ): Promise<ChildHandle> {
    const settings: ChildSettings = {
      auth: authority.msalAuth("organizations", DEFAULT_CLIENT_IDS.web),
      ...place,
      lockTimeoutMs: 30_000,
      scopes: [NOTES],
      apiOrigin: api.origin,
      sessionPassword: "a password of a session in a scenario",
      ...own,
    };
    unsealed ||= settings.unsealed ?? false;
    const child = await startProcess(program, settings, itsKeys);
    allKeys.add(itsKeys);
    children.push(child);
    return child;
  }

  const records = (): Promise<Lying[]> => openRecords(place, unsealed ? "unsealed" : entriesOf(allKeys));
  const scenario: Scenario = {
    authority,
    storePath,
    api,
    browser: createBrowser,
    keys,
    writeKeys(name, text) {
      const path = join(folder, name);
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      allKeys.add(text);
      return path;
    },
    async webApp(own, itsKeys) {
      const child = await start("web-app", own, itsKeys);
      return { ...child, origin: child.ready };
    },
    async worker(own, itsKeys) {
      const child = await start("worker", own, itsKeys);
      return { ...child, run: () => child.ask("run"), accounts: () => child.ask("accounts") };
    },
    records,
    userRecords: async () => (await records()).filter(({ kind }) => kind === "user"),
    async crash(child) {
      crashed.add(child.pid);
      await child.kill();
    },
    lockStore: () => lock(storePath),
  };
  const printed = (): string => children.map((child) => child.output()).join("\n");
  return {
    scenario,
    printed,
    leaks() {
      const secrets = [...authority.issued, ...allKeys, ...keyTexts([...allKeys].join(" "))];
      const logs = Buffer.from(printed());
      return Promise.resolve({ store: leaksIn(rawStore(place), secrets), logs: leaksIn(logs, secrets) });
    },
    endProcesses: () =>
      Promise.all(children.filter(({ pid }) => !crashed.has(pid)).map((child) => child.stop())),
    async clear() {
      authority.reset();
      await Promise.all(children.map((child) => child.kill()));
      await api.close();
      await listener.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One key for each id: of two, the one that was there first. */
function entriesOf(texts: Iterable<string>): string {
  const entries = [...texts].flatMap((text) => text.split(/[\s,]+/)).filter(Boolean);
  const byId = new Map(entries.toReversed().map((entry) => [entry.split(":", 1)[0], entry]));
  return [...byId.values()].join("\n");
}

/** The key without its id. */
function keyTexts(keys: string): string[] {
  return keys.split(/[\s,:]+/).filter((text) => text.length >= 32);
}

function lock(path: string): { release(): void } {
  const db = new DatabaseSync(path, { timeout: 30_000 });
  db.exec("BEGIN IMMEDIATE");
  return {
    release() {
      db.exec("ROLLBACK");
      db.close();
    },
  };
}
