/** What a child process of a scenario is told when it starts. */
import type { ConfidentialClientOptions } from "../../../src/index.ts";

export type ScenarioStore = "sqlite" | "filesystem";

export interface ChildSettings {
  readonly auth: ConfidentialClientOptions["auth"];
  /** `OIDC` for a provider that is not Entra ID. */
  readonly protocolMode?: "AAD" | "OIDC";
  /** A SQLite file or, for `filesystem`, a folder. */
  readonly storePath: string;
  readonly store?: ScenarioStore;
  /** How long a call waits for another process's lock on the store, ms. */
  readonly lockTimeoutMs: number;
  readonly coherenceBoundMs?: number;
  /** A file with the keys, read again at the command `reload-keys` and when a key id is not there. */
  readonly keysFile?: string;
  /** For the tests of the harness itself: tokens are stored in clear. */
  readonly unsealed?: boolean;
  /** Scopes asked for at sign-in and, unless a request names others, silently. */
  readonly scopes: readonly string[];
  readonly prompt?: string;
  /** Where the API that the worker calls listens. */
  readonly apiOrigin?: string;
  /** Seals the session cookie, the same before and after a restart. */
  readonly sessionPassword: string;
}

export const SETTINGS_VARIABLE = "SCENARIO_SETTINGS";
export const KEYS_VARIABLE = "SCENARIO_KEYS";

/** A command to a child, and its answer. */
export interface Command {
  readonly id: number;
  readonly name: string;
  readonly argument?: unknown;
}

export type Answer =
  { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };

/** What an acquisition came to, without the token. */
export interface Served {
  readonly user: string;
  /** The `preferred_username` inside the access token, where it can be read. */
  readonly tokenUser: string | undefined;
  readonly scopes: readonly string[];
  readonly source: "cache" | "identity-provider";
  readonly level: "none" | "L1" | "L2" | "stale";
  readonly saved: boolean;
  readonly nearExpiry: boolean;
  /** Tells tokens apart. */
  readonly fingerprint: string;
}

/** What became of each way to act for a user: where the token came from, or the error's code. */
export interface ActedFor {
  readonly silent: string;
  readonly onBehalfOf: string;
  readonly inProcess: string;
}

/** One line of a worker's report. */
export type Run =
  | { readonly user: string; readonly outcome: "ok"; readonly served: Served; readonly profile: unknown }
  | { readonly user: string; readonly outcome: "needs-interaction" | "failed"; readonly code: string };
